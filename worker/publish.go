package worker

import (
	"bytes"
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/bioengine-hpc/bioengine-hpc/hypha"
	"github.com/bioengine-hpc/bioengine-hpc/jobs"
)

// publication is what the application's service says; nil means that there is
// none.
type publication struct {
	name, description string
	offer             *offer
}

func (p *publication) equal(other *publication) bool {
	if p == nil || other == nil {
		return p == other
	}
	return p.name == other.name && p.description == other.description && p.offer.equal(other.offer)
}

func (o *offer) equal(other *offer) bool {
	if o == nil || other == nil {
		return o == other
	}
	return bytes.Equal(o.Description, other.Description) && bytes.Equal(o.Registration, other.Registration)
}

// wanted is what should be registered now: what a ready replica of the entry
// says, or after a restart, until jobs has looked, what one said before.
func (a *application) wanted() *publication {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deleting {
		return nil
	}
	said := a.record.Published
	if a.heard {
		said = offered(a.entry)
	}
	if said == nil {
		return nil
	}
	return &publication{name: a.record.Name, description: a.record.Description, offer: said}
}

// offered is what the first replica that takes new calls said of itself. The
// others run the same code.
func offered(entry []jobs.EntryReplica) *offer {
	for _, e := range entry {
		if !e.Draining && len(e.Ready.Registration) > 0 {
			return &offer{Description: e.Ready.Description, Registration: e.Ready.Registration, Methods: e.Ready.Methods}
		}
	}
	return nil
}

// publishing registers the application's service while a replica of its entry
// can serve, and withdraws it while none can. It returns when the connection
// has ended, ctx has, or the application has gone.
func (a *application) publishing(ctx context.Context, client *hypha.Client) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.gone, cancel)()
	var listed *publication
	wait := retryFirst
	for {
		var again <-chan time.Time
		if want := a.wanted(); !want.equal(listed) {
			err := a.publish(ctx, client, want)
			if err == nil {
				listed, wait = want, retryFirst
				continue // the wish may have changed meanwhile
			}
			a.unpublished(ctx, client, err)
			again = time.After(wait)
			wait = min(2*wait, retryLast)
		}
		select {
		case <-a.wake:
		case <-again:
		case <-client.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// unpublished notes why the service is not what it should be.
func (a *application) unpublished(ctx context.Context, client *hypha.Client, err error) {
	if ctx.Err() != nil || client.Err() != nil {
		return
	}
	a.setProblem(err)
	a.log.Warn("cannot change the service of an application; trying again", zap.Error(err))
}

// publish makes the server's list say p.
func (a *application) publish(ctx context.Context, client *hypha.Client, p *publication) error {
	if p == nil {
		a.setService("")
		if err := client.Unregister(ctx, a.id); err != nil {
			return err
		}
		a.log.Info("service withdrawn")
		return nil
	}
	described, err := describe(a.id, client.Info(), *p)
	if err != nil {
		return err
	}
	if !p.offer.equal(a.current().record.Published) {
		if err := a.keep(ctx, p.offer); err != nil { // costs a restarted controller a moment, no more
			a.log.Warn("cannot store what the application offers", zap.Error(err))
		}
	}
	if err := client.RegisterOpaque(ctx, described); err != nil {
		return err
	}
	a.setProblem(nil)
	a.setService(client.Address() + ":" + a.id)
	a.log.Info("service registered", zap.String("service", client.Address()+":"+a.id))
	return nil
}

// setService tells the status that the service is registered, or no more.
func (a *application) setService(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.service = id
}
