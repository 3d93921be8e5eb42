// Package cluster holds the simulated Slurm cluster of the tests: the script that builds the file system its hosts share, and
// the scripts and configuration that start and stop it in namespaces. Package bed runs them.
package cluster

import "embed"

// Rootfs is everything that decides what the hosts' file system contains.
//
//go:embed build-rootfs.sh mirror.sh
var Rootfs embed.FS

// Mirror finds the Debian mirror; the application image is built from the same one.
//
//go:embed mirror.sh
var Mirror embed.FS

// Scripts starts a cluster and switches its hosts.
//
//go:embed bin etc
var Scripts embed.FS
