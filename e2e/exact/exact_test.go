package exact

import (
	"slices"
	"testing"
)

// TestExact asks Kubernetes as it is and Kubernetes on HariKube the same, while the same changes are made.
func TestExact(t *testing.T) {
	all := newSystems(t)
	all.start(t)
	r := newRun(t, all, slices.Concat([]*kind{widgets, widgets, widgets, gadgets, pods}, builtIn))
	r.prepare()
	r.change(150)
	for range number(t, "HARIKUBE_EXACT_ROUNDS", 3) {
		r.round()
	}
}

// round makes changes while random watches are open, and asks for lists.
func (r *run) round() {
	var watches []*watch
	for range 6 {
		for range 5 {
			watches = append(watches, r.watch())
		}
		r.change(20)
		r.lists(20)
	}
	r.finish(watches)
	r.Logf("so far: %d changes, %d answers, %d watches with %d events", len(r.versions), r.answers, r.watches, r.events)
}
