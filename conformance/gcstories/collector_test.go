package gcstories

import "slices"

// What Kubernetes' garbage collector does, one step at a time, whatever the order. It only says what to wait for, and which
// stories have more than one end: what is right is what Kubernetes does.

// policy is how an object is deleted; usual is without saying so.
type policy string

const (
	background   policy = "Background"
	inForeground policy = "Foreground"
	orphaning    policy = "Orphan"
	usual        policy = ""
)

// steps are the worlds that one step of the collector can make of this one.
func (w world) steps() []world {
	var next []world
	for _, o := range w {
		switch {
		case !o.deleting:
			next = append(next, w.judge(o)...)
		case o.has(orphan):
			next = append(next, w.setFree(o)...)
		case o.has(foreground) && !slices.ContainsFunc(w, func(d *object) bool { return d.blocks(o.uid) }):
			next = append(next, w.release(o, foreground))
		}
	}
	return next
}

// setFree takes a dependent away from its owner, or when there is none any more lets the owner go.
func (w world) setFree(o *object) []world {
	var next []world
	for _, dependent := range w.dependents(o.uid) {
		next = append(next, w.with(dependent.freed(o.uid)))
	}
	if len(next) == 0 {
		next = append(next, w.release(o, orphan))
	}
	return next
}

func (o *object) freed(uids ...uid) *object {
	free := *o
	free.owners = slices.DeleteFunc(slices.Clone(o.owners), func(owner owner) bool { return slices.Contains(uids, owner.uid) })
	return &free
}

// release takes a finalizer away, with the last of which a deleted object goes.
func (w world) release(o *object, finalizer string) world {
	released := *o
	released.finalizers = slices.DeleteFunc(slices.Clone(o.finalizers), func(f string) bool { return f == finalizer })
	if o.deleting && len(released.finalizers) == 0 {
		return w.without(o)
	}
	return w.with(&released)
}

// delete is what the API server makes of a request.
func (w world) delete(o *object, policy policy) world {
	deleted := *o
	deleted.finalizers = o.finalizersOf(policy)
	if len(deleted.finalizers) == 0 {
		return w.without(o)
	}
	deleted.deleting = true
	deleted.waited = o.waited || deleted.has(foreground)
	return w.with(&deleted)
}

// finalizersOf are those that it has when it is deleted.
func (o *object) finalizersOf(policy policy) []string {
	if policy == usual && (o.has(orphan) || o.has(foreground)) {
		return o.finalizers
	}
	next := slices.DeleteFunc(slices.Clone(o.finalizers), func(f string) bool { return f == orphan || f == foreground })
	switch policy {
	case orphaning:
		next = append(next, orphan)
	case inForeground:
		next = append(next, foreground)
	}
	if slices.Equal(slices.Sorted(slices.Values(next)), slices.Sorted(slices.Values(o.finalizers))) {
		return o.finalizers // the same, in the old order
	}
	return next
}

// fate is what has become of the owner that a reference names.
type fate int

const (
	solid    fate = iota // it is there
	waiting              // it is there, and waits for its dependents to go
	dangling             // it is not there, or it is another one
	unknown              // nobody can say
)

func (w world) fate(reference owner, of *object) fate {
	at := id{reference.kind, nowhere, reference.name}
	if reference.kind.namespaced {
		at.place = of.id.place
	}
	if !slices.Contains(reference.kind.served, reference.version) || reference.kind.namespaced && of.id.place == nowhere {
		return unknown
	}
	switch found := w.at(at); {
	case found == nil || found.uid != reference.uid:
		return dangling
	case found.isWaiting():
		return waiting
	default:
		return solid
	}
}

// judge is empty if the object stays as it is.
func (w world) judge(o *object) []world {
	var lost []uid
	fates := map[fate]bool{}
	for _, reference := range o.owners {
		fate := w.fate(reference, o)
		if fates[fate] = true; fate == unknown {
			return nil
		}
		if fate != solid {
			lost = append(lost, reference.uid)
		}
	}
	dependents := w.dependents(o.uid)
	switch {
	case len(lost) == 0:
		return nil
	case fates[solid]:
		return []world{w.with(o.freed(lost...))}
	case fates[waiting] && len(dependents) > 0:
		return w.deleteInForeground(o, dependents)
	case o.has(orphan):
		return []world{w.delete(o, orphaning)}
	case o.has(foreground):
		return []world{w.delete(o, inForeground)}
	default:
		return []world{w.delete(o, background)}
	}
}

// deleteInForeground first lets the owners of an object wait no more that may be in a circle with it.
func (w world) deleteInForeground(o *object, dependents world) []world {
	waits := slices.ContainsFunc(dependents, (*object).isWaiting)
	waited := slices.ContainsFunc(dependents, func(d *object) bool { return d.waited })
	free := o.unblocked()
	var next []world
	if waited && free != o {
		next = append(next, w.with(free))
	}
	if !waits || free == o {
		next = append(next, w.delete(o, inForeground))
	}
	return next
}

// unblocked returns the object itself if nothing changes.
func (o *object) unblocked() *object {
	free, changed := *o, false
	free.owners = slices.Clone(o.owners)
	for i := range free.owners {
		// Of a custom resource also those that say nothing: the patch is another one there.
		if block := &free.owners[i].block; *block == "true" || *block == "" && o.id.kind.isCustom() {
			*block, changed = "false", true
		}
	}
	if !changed {
		return o
	}
	return &free
}
