//go:build systems && !full

package sbatch_test

// full says that tests may take minutes.
const full = false
