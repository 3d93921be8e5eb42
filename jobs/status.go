package jobs

import "time"

// Status is one application as the event loop last saw it.
type Status struct {
	ID          string
	Revision    int64
	Deleting    bool
	Deployments []DeploymentStatus
}

// DeploymentStatus has the words of the contract, section 5.2.
type DeploymentStatus struct {
	Name          string
	Status        string // UPDATING, HEALTHY, UNHEALTHY, DEPLOY_FAILED
	Message       string
	ReplicaStates map[string]int
	Replicas      []ReplicaStatus
	EverRan       bool // a replica of this revision has been RUNNING
	CPUs, GPUs    float64
	MemoryBytes   float64
	Target        int // replicas wanted
}

// ReplicaStatus is one living replica.
type ReplicaStatus struct {
	ID, Tag, JobID string
	State          string // PENDING_ALLOCATION, STARTING, RUNNING, RECOVERING, STOPPING
	Node, Message  string
	Created        time.Time
	Steps          map[string]time.Duration // queue, image, environment, init
}

// Log is what one replica wrote, newest lines last.
type Log struct {
	Created        time.Time
	Timezone       string
	Stdout, Stderr []string
}
