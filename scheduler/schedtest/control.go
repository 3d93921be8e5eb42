package schedtest

import (
	"context"
	"errors"

	"github.com/bioengine-hpc/bioengine-hpc/scheduler"
)

func contextEnds(r *run) {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	spec := r.spec("true")
	if id, err := r.Submit(ctx, spec); err == nil {
		r.Errorf("a submission without time gave job %s", id)
	} else if !scheduler.Is(err, scheduler.Unclear) || !errors.Is(err, context.Canceled) {
		r.Errorf("a submission without time: %v; want unclear, cancelled", err)
	}
	if _, err := r.Jobs(ctx); !scheduler.Is(err, scheduler.Unreachable) || !errors.Is(err, context.Canceled) {
		r.Errorf("jobs without time: %v; want unreachable, cancelled", err)
	}
	if job, there := r.job(spec.Comment); there {
		r.Logf("the submission without time left %+v", job)
	}
}

func restartFindsJobs(r *run) {
	spec := r.spec("echo ready", "while :; do sleep 0.1; done")
	id := r.submit(spec)
	r.awaitText("out", "ready")
	r.Scheduler = r.Open(r.T)
	if job, there := r.job(spec.Comment); !there || job.ID != id || job.State != scheduler.Running {
		r.Errorf("after a restart job %s is %+v", id, job)
	}
	if err := r.Terminate(r.Context(), id); err != nil {
		r.Fatalf("terminate: %v", err)
	}
	if job := r.awaitEnd(spec.Comment); job.State != scheduler.Failed || job.Signal != 15 {
		r.Errorf("terminated after a restart: %+v", job)
	}
}

func partitionsKnown(r *run) {
	inspector, ok := r.Scheduler.(scheduler.Inspector)
	if !ok {
		r.Fatal("the back end cannot say what there is")
	}
	partitions, err := inspector.Partitions(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if len(partitions) == 0 {
		r.Fatal("there are no partitions")
	}
	if err := scheduler.Fits(r.spec("true"), partitions); err != nil {
		r.Errorf("a small job does not fit: %v", err)
	}
}
