package main

import (
	"math"
	"slices"
	"time"
)

// Result is everything that was measured; the raw file holds it as JSON.
type Result struct {
	Date, Commit string
	Quick        bool // made with little effort: not for publication
	Seconds      float64
	Agents       int // of a Crowd
	Machine      Machine
	Load         Load
	Versions     []string
	Stages       []Stage
	micro        []micro
}

// Stage is one back end: "local" or "slurm".
type Stage struct {
	Name   string
	Starts []time.Duration // of the controller; the first with an empty state directory
	Runs   []Run
	Small  Pair   // milliseconds of one call
	Rates  Pair   // calls per second of 32 callers
	Arrays Pair   // milliseconds of one 5 MiB array there and back
	Idle   *Usage // of a controller without applications; slurm alone
	Crowd  *Crowd // slurm alone
}

// Run is one run_application.
type Run struct {
	Accepted float64            `json:"accepted"` // seconds until run_application returned
	Running  float64            `json:"running"`  // seconds until the status was RUNNING
	Steps    map[string]float64 `json:"steps"`    // seconds, as the status shows them
	Service  string             `json:"service"`
}

// Pair are samples of the application and of plain hypha-rpc.
type Pair struct {
	Ours, Plain []float64
	Controller  Usage // meanwhile
}

// Crowd is a controller with many agents.
type Crowd struct {
	JoinSeconds float64 // from run_application until all replicas were RUNNING
	Usage       Usage
}

func median(samples []float64) float64 { return percentile(samples, 50) }

// percentile is the smallest sample that p percent of them do not exceed; NaN
// without samples.
func percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// seconds converts durations.
func seconds(all []time.Duration) []float64 {
	out := make([]float64, len(all))
	for i, d := range all {
		out[i] = d.Seconds()
	}
	return out
}

// pick takes one number of each element.
func pick[T any](all []T, number func(T) float64) []float64 {
	out := make([]float64, len(all))
	for i, v := range all {
		out[i] = number(v)
	}
	return out
}
