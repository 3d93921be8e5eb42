package apptainer

import (
	"bytes"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// FuzzQuote lets a real bash read every quoted word and print it again.
func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "plain", odd, "~", "-n", "A=b", "a{b,c}", "\\", "'", "''", "\n", "\xff\xfe", "$'\\n'", "!x", "#", "a b", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		word = strings.ReplaceAll(word, "\x00", "") // no word holds a NUL
		words := []string{word, "x" + word + "x"}
		// As an argument, and as the value of an exported variable.
		script := "export V=" + Quote(word) + "\nprintf '%s\\0' " + QuoteAll(words) + "\nexec printenv -0 V"
		out, err := exec.Command("bash", "-c", script).Output()
		if err != nil {
			t.Fatalf("%q: %v", script, err)
		}
		want := append([]byte(strings.Join(words, "\x00")), 0)
		if want = append(append(want, word...), 0); !bytes.Equal(out, want) {
			t.Errorf("bash reads %s as %q", script, out)
		}
	})
}

// TestQuoteRoundTripsAnyWords is the same promise for many random words at once,
// rich in what shells care about.
func TestQuoteRoundTripsAnyWords(t *testing.T) {
	const special = "'\"\\$`!*?[]{}()<>|&;#~=% \t\n\r,:^-"
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 5000)
	for i := range words {
		word := make([]byte, random.IntN(20))
		for j := range word {
			word[j] = byte(1 + random.IntN(255))
			if random.IntN(2) == 0 {
				word[j] = special[random.IntN(len(special))]
			}
		}
		words[i] = string(word)
	}
	bash := exec.Command("bash")
	bash.Stdin = strings.NewReader("printf '%s\\0' " + QuoteAll(words))
	out, err := bash.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(got) != len(words) {
		t.Fatalf("%d words became %d", len(words), len(got))
	}
	for i := range words {
		if got[i] != words[i] {
			t.Errorf("%q became %q", words[i], got[i])
		}
	}
}
