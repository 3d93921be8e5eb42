// Package bed is the test bed: it builds, starts and stops the real systems the tests run against. A Hypha server with
// artifacts on an S3 stand-in (StartHypha), a Slurm cluster with Apptainer in namespaces of this machine (StartCluster), the
// application image its jobs run, and the Python and Node clients.
//
// Prepare builds what is missing into CacheDir, once per content of what defines it. Every running system has a run folder
// that records its processes and its owner: a process that dies takes its systems with it (keeper.go), and what even that
// missed goes at the next start (run.go). Shared lets the tests of one package share systems. Tests of every room import bed;
// the programs of the product never do. By hand: go run ./test/bed/cmd/bed.
package bed
