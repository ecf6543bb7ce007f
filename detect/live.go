package detect

import (
	"sync/atomic"

	"github.com/degas-dns/degas/events"
)

// Live is a Policy that can be replaced while others decide. The zero Live lets every name pass.
type Live struct{ p atomic.Pointer[Policy] }

// Swap puts p in place and returns the Policy that was there, nil at first.
func (l *Live) Swap(p *Policy) (old *Policy) { return l.p.Swap(p) }

// Policy is the one in place.
func (l *Live) Policy() *Policy { return l.p.Load() }

// Decide is Policy.Decide of the one in place.
func (l *Live) Decide(name string) Decision { return l.p.Load().Decide(name) }

// DecideEvent is Policy.DecideEvent of the one in place.
func (l *Live) DecideEvent(e *events.Event) Decision { return l.p.Load().DecideEvent(e) }
