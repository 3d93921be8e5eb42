package agent

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bioengine-hpc/bioengine-hpc/jobs/link"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func records(t *testing.T, o *output) []link.LogRecord {
	t.Helper()
	var all []link.LogRecord
	for {
		batch := o.take()
		if len(batch) == 0 {
			return all
		}
		for r := bytes.NewReader(batch); r.Len() > 0; {
			record, err := link.ReadLog(r)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, record)
		}
	}
}

func TestOutput(t *testing.T) {
	t.Run("lines_are_cut_at_the_limit", func(t *testing.T) {
		o := newOutput(tag, newUplink())
		long := strings.Repeat("x", link.MaxLogLine)
		o.read(link.Stdout, strings.NewReader("one\n\n"+long+"tail\nno newline"))
		var texts []string
		for _, r := range records(t, o) {
			texts = append(texts, r.Text)
		}
		if strings.Join(texts, "|") != "one||"+long+"|tail|no newline" {
			t.Fatalf("%d lines: %.100q", len(texts), texts)
		}
	})
	t.Run("oldest_lines_are_dropped_and_counted", func(t *testing.T) {
		o := newOutput(tag, newUplink())
		line := strings.Repeat("x", 1000)
		for range 2000 {
			o.add(link.LogRecord{Stream: link.Stdout, Text: line})
		}
		o.add(link.LogRecord{Stream: link.Stderr, Text: "the end"})
		if o.bytes > outputBytes {
			t.Fatalf("%d bytes are kept", o.bytes)
		}
		all := records(t, o)
		if !contains(all[0].Text, "lines were dropped") || all[len(all)-1].Text != "the end" || len(all) > 1000 {
			t.Fatalf("%d records, from %q", len(all), all[0].Text)
		}
		if o.bytes != 0 {
			t.Fatalf("%d bytes are counted of no lines", o.bytes)
		}
		if lines, last := o.lastLines(); len(lines) != lastCount || last != "the end" {
			t.Fatalf("%d last lines, %q", len(lines), last)
		}
	})
}

func TestEnvironment(t *testing.T) {
	got := strings.Join(environment([]string{
		"PATH=/image/bin", "HOME=/root", "HYPHA_TOKEN=hush", "LC_ALL=C.UTF-8", "NVIDIA_VISIBLE_DEVICES=0", "SLURM_JOB_ID=7", "odd",
	}, "/home/app"), " ")
	if got != "HOME=/home/app PATH=/image/bin LC_ALL=C.UTF-8 NVIDIA_VISIBLE_DEVICES=0" {
		t.Errorf("Python starts with %s", got)
	}
	if got := environment(nil, "/h"); len(got) != 2 || got[1] != "PATH="+defaultPath {
		t.Errorf("without a PATH: %q", got)
	}
}
