package gcstories

import "slices"

// mostWorlds is how many worlds are looked at before operations count as too much at once.
const mostWorlds = 3000

// moment is a world when some of the operations have been done.
type moment struct {
	world world
	done  int
}

// exploration is all that can come of operations that are done one after the other while the collector works.
type exploration struct {
	start      world
	operations []operation
	moments    []moment
	ends       []world
	unfit      bool // an operation is not to be done in one of the worlds, or there are too many
}

func explore(start world, operations []operation) *exploration {
	e := &exploration{start: start, operations: operations}
	seen := map[string]bool{}
	todo := []moment{{start, 0}}
	for len(todo) > 0 && !e.unfit {
		m := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		key := string(rune(m.done)) + m.world.key()
		if seen[key] {
			continue
		}
		seen[key] = true
		e.moments = append(e.moments, m)
		next := e.next(m)
		if len(next) == 0 {
			e.ends = append(e.ends, m.world)
		}
		todo = append(append(todo, next...), e.lateSteps(m)...)
		e.unfit = e.unfit || len(seen) > mostWorlds
	}
	return e
}

// lateSteps are those of a collector that has not heard yet that an object is being deleted.
func (e *exploration) lateSteps(m moment) []moment {
	var next []moment
	for _, o := range m.world {
		if before := e.start.find(o.uid); o.deleting && (before == nil || !before.deleting) {
			for _, w := range m.world.judge(o) {
				next = append(next, moment{w, m.done})
			}
		}
	}
	return next
}

func (e *exploration) next(m moment) []moment {
	var next []moment
	for _, w := range m.world.steps() {
		next = append(next, moment{w, m.done})
	}
	if m.done < len(e.operations) {
		if u, is := e.operations[m.done].(undefinition); is && len(u.left(m.world)) > 0 {
			for _, o := range u.left(m.world) {
				next = append(next, moment{m.world.delete(o, usual), m.done})
			}
			return next
		}
		w, ok := e.operations[m.done].apply(m.world)
		if !ok {
			e.unfit = true
		}
		next = append(next, moment{w, m.done + 1})
	}
	return next
}

// leftOut are operations that are not in stories, because Kubernetes itself may do this or that with them, or because it is
// known and documented that HariKube does something else.
var leftOut = []struct {
	what string
	is   func(*exploration) bool
}{
	// An object that gets an owner which is going is looked at when the owner is looked at again, and at the latest when it
	// goes: Kubernetes says nothing about when that is. HariKube looks at once.
	//
	// What kube-controller-manager looks at is what gets a reference to another uid, not what gets another name for the same.
	{"an operation is unfit, or too much may happen", func(e *exploration) bool { return e.unfit }},

	// It depends on what the collector does first. Dependents that do not block an owner that is deleted in the foreground,
	// and held: if it has waited for nobody before they are looked at, they stay. Circles, in which owners are told not to
	// wait, or need not. An object that loses one owner and is freed of the other: if it is free first, it goes. What is
	// seen to be in a circle as one of its dependents has been deleted in the foreground, and no more is.
	{"there is more than one end", func(e *exploration) bool {
		return slices.ContainsFunc(e.ends, func(w world) bool { return !slices.Equal(w.lines(anybody), e.ends[0].lines(anybody)) })
	}},

	// Of a cluster-scoped object with a namespaced owner kube-controller-manager says that this will never be right, and mostly
	// does not look at the object when that is over.
	{"an object without a namespace loses a namespaced owner, or gets one", func(e *exploration) bool {
		return e.changes((*object).isGivenUp)
	}},

	// Kube-controller-manager sees the kinds each for itself. It may know that an owner orphans before it knows of what has
	// just become a dependent, or visible: that keeps the reference then, and goes with the owner.
	{"an owner orphans, and gets a dependent at the same time", func(e *exploration) bool {
		orphaning := map[uid]bool{}
		e.isEver(func(_ world, o *object, _ int) bool {
			if o.deleting && o.has(orphan) {
				orphaning[o.uid] = true
			}
			return false
		})
		return len(orphaning) > 0 && slices.ContainsFunc(e.operations, func(one operation) bool { return e.gives(one, orphaning) })
	}},

	// It judges an object by owners, and then takes away from the owners that there are by then.
	{"the owners of an object are changed while it loses some", func(e *exploration) bool {
		return slices.ContainsFunc(e.moments, func(m moment) bool {
			return slices.ContainsFunc(e.operations[m.done:], func(one operation) bool {
				c, ok := one.(change)
				return ok && m.world.loses(c.uid)
			})
		})
	}},

	// Of two references to the same uid kube-controller-manager knows the last one alone when they go.
	{"one owner twice, blocked and not", func(e *exploration) bool {
		return e.isEver(func(_ world, o *object, _ int) bool { return o.isOfTwoMinds() })
	}},

	// A visible owner does not wait for hidden dependents: kube-controller-manager knows of none, and lets it go at once.
	// Its dependents go after it then, and what is held of them looks otherwise until it is gone.
	{"a visible owner is deleted in the foreground, and something hidden is left that it would wait for", func(e *exploration) bool {
		return e.isEver(func(w world, o *object, database int) bool {
			return o.isWaiting() && !o.isHidden(database) && w.isAnyHidden(o, database) && !e.allGo(w, o)
		})
	}},

	// Kube-controller-manager looks for the owners of a hidden object without a namespace in that of something visible that
	// depends on it, and deletes it. What it sees it leaves alone if an owner would be in a namespace.
	{"a hidden object without a namespace has namespaced owners and visible dependents", func(e *exploration) bool {
		return e.isEver(func(w world, o *object, database int) bool {
			return o.isHidden(database) && o.isGivenUp() && w.isAnyVisible(o, database)
		})
	}},

	// Of an object that was hidden kube-controller-manager has not kept who depends on it by its uid alone, under another name
	// or in another namespace.
	{"an owner that was hidden and is visible lets go what names it wrongly", func(e *exploration) bool {
		return e.isEver(func(w world, o *object, database int) bool {
			return o.deleting && (o.has(foreground) || o.has(orphan)) && o.shown[database] && slices.ContainsFunc(w.dependents(o.uid), o.isMisnamedBy)
		})
	}},

	// Kube-controller-manager keeps one name for a uid. If the hidden owner is there under that one, it asks for no other.
	{"a hidden owner has visible dependents that name it wrongly, and others that do not", func(e *exploration) bool {
		return e.isEver(func(w world, o *object, database int) bool {
			wrong, right := false, false
			for _, dependent := range w.dependents(o.uid) {
				if !dependent.isHidden(database) {
					wrong, right = wrong || o.isMisnamedBy(dependent), right || !o.isMisnamedBy(dependent)
				}
			}
			return o.isHidden(database) && wrong && right
		})
	}},

	// A definition whose objects are held is not gone, and nobody may create objects of it. That an owner was of its kind and
	// is gone kube-controller-manager knows as long as it remembers the last 500 that went.
	{"an object without a definition, or with an owner that has none", func(e *exploration) bool {
		return slices.ContainsFunc(e.operations, func(o operation) bool {
			u, ok := o.(undefinition)
			return ok && slices.ContainsFunc(e.ends[0], func(o *object) bool { return o.id.kind == u.kind || !o.deleting && o.hasOwnerOf(u.kind) })
		})
	}},
}

// gives says whether an operation makes an object a dependent of one of these owners, or makes a dependent visible.
func (e *exploration) gives(one operation, to map[uid]bool) bool {
	isOf := func(owners []owner) bool {
		return slices.ContainsFunc(owners, func(reference owner) bool { return to[reference.uid] })
	}
	switch one := one.(type) {
	case creation:
		return isOf(one.object.owners)
	case change:
		return isOf(one.owners)
	case labelling:
		return !one.on && e.isEver(func(_ world, o *object, _ int) bool { return o.uid == one.uid && isOf(o.owners) })
	default:
		return false
	}
}

// loses says whether the collector would take owners away from an object that stays.
func (w world) loses(uid uid) bool {
	o := w.find(uid)
	if o == nil || o.deleting {
		return false
	}
	return slices.ContainsFunc(w.judge(o), func(next world) bool {
		after := next.find(uid)
		return after != nil && !after.deleting && len(after.owners) < len(o.owners)
	})
}

// isLeftOut also counts why.
func (e *exploration) isLeftOut(counts map[string]int) bool {
	for _, rule := range leftOut {
		if rule.is(e) {
			counts[rule.what]++
			return true
		}
	}
	return false
}

// orphans are the kinds of objects whose owners orphan.
func (e *exploration) orphans() []*kind {
	var kinds []*kind
	e.isEver(func(w world, o *object, _ int) bool {
		if o.deleting && o.has(orphan) {
			for _, dependent := range e.start.dependents(o.uid) {
				if !slices.Contains(kinds, dependent.id.kind) {
					kinds = append(kinds, dependent.id.kind)
				}
			}
		}
		return false
	})
	return kinds
}

// isEver says whether something holds for any object at any moment, beside any database.
func (e *exploration) isEver(is func(w world, o *object, database int) bool) bool {
	for _, m := range e.moments {
		for _, o := range m.world {
			for database := range databases {
				if is(m.world, o, database) {
					return true
				}
			}
		}
	}
	return false
}

// changes says whether something holds for an object at one moment, and not at another.
func (e *exploration) changes(is func(*object) bool) bool {
	seen := map[uid]bool{}
	for _, m := range e.moments {
		for _, o := range m.world {
			if before, found := seen[o.uid]; found && before != is(o) {
				return true
			}
			seen[o.uid] = is(o)
		}
	}
	return false
}

// isAnyHidden says whether any dependent is.
func (w world) isAnyHidden(o *object, database int) bool {
	return slices.ContainsFunc(w.dependents(o.uid), func(d *object) bool { return d.isHidden(database) })
}

// isAnyVisible says whether any dependent is.
func (w world) isAnyVisible(o *object, database int) bool {
	return slices.ContainsFunc(w.dependents(o.uid), func(d *object) bool { return !d.isHidden(database) })
}

// allGo says whether an object and everything below it is gone in the end, but for what has other owners, and none of it was
// ever to set anything free.
func (e *exploration) allGo(w world, o *object) bool {
	below := world{o}
	for i := 0; i < len(below); i++ {
		frees := func(_ world, o *object, _ int) bool { return o.uid == below[i].uid && o.has(orphan) }
		if e.ends[0].find(below[i].uid) != nil || e.isEver(frees) {
			return false
		}
		for _, d := range w.dependents(below[i].uid) {
			left := e.ends[0].find(d.uid)
			stays := left != nil && !left.deleting && !left.isDependentOf(below[i].uid)
			if !stays && !slices.Contains(below, d) {
				below = append(below, d)
			}
		}
	}
	return true
}
