package gcstories

import (
	"fmt"
	"slices"
	"strings"
)

// operation is what a user does.
type operation interface {
	fmt.Stringer
	// apply says false if it is not to be done to this world: see leftOut.
	apply(world) (world, bool)
	// note takes note of what a story has.
	note(has features, before world)
	// play does it on a side, where the object may be gone already.
	play(*scene) error
}

// creation makes an object.
type creation struct{ object *object }

func (c creation) String() string {
	text := "create " + c.object.line(false)
	for database := range databases {
		if c.object.labelled[database] {
			text += fmt.Sprintf("\n      labelled on database %d", database+1)
		}
	}
	return text
}

func (c creation) apply(w world) (world, bool) {
	if w.at(c.object.id) != nil || w.getsOwnerThatGoes(c.object.owners, nil) {
		return nil, false
	}
	return w.with(c.object), true
}

// getsOwnerThatGoes says whether there is an owner among the new references that is being deleted.
func (w world) getsOwnerThatGoes(owners, before []owner) bool {
	return slices.ContainsFunc(owners, func(one owner) bool {
		found := w.find(one.uid)
		return found != nil && found.deleting && !slices.ContainsFunc(before, func(old owner) bool { return old.uid == one.uid })
	})
}

// deletion deletes an object.
type deletion struct {
	id     id
	uid    uid
	policy policy
}

func (d deletion) String() string {
	if d.policy == usual {
		return fmt.Sprintf("delete %s", d.id)
	}
	return fmt.Sprintf("delete %s, propagationPolicy %s", d.id, d.policy)
}

func (d deletion) apply(w world) (world, bool) {
	if o := w.find(d.uid); o != nil {
		return w.delete(o, d.policy), true
	}
	return w, true
}

// unholding takes a finalizer away.
type unholding struct {
	id        id
	uid       uid
	finalizer string
}

func (u unholding) String() string { return fmt.Sprintf("take %s from %s", u.finalizer, u.id) }

func (u unholding) apply(w world) (world, bool) {
	if o := w.find(u.uid); o != nil {
		return w.release(o, u.finalizer), true
	}
	return w, true
}

// change gives an object other owners.
type change struct {
	id     id
	uid    uid
	owners []owner
}

func (c change) String() string {
	text := []string{fmt.Sprintf("change %s to", c.id)}
	for _, owner := range c.owners {
		text = append(text, "owner "+owner.String())
	}
	if len(c.owners) == 0 {
		text = append(text, "no owner")
	}
	return strings.Join(text, "\n      ")
}

func (c change) apply(w world) (world, bool) {
	o := w.find(c.uid)
	if o == nil {
		return w, true
	}
	if w.getsOwnerThatGoes(c.owners, o.owners) || isRenamed(c.owners, o.owners) {
		return nil, false
	}
	changed := *o
	changed.owners = c.owners
	return w.with(&changed), true
}

// isRenamed says whether a uid has got another name or kind: kube-controller-manager does not look at it again for that.
func isRenamed(owners, before []owner) bool {
	return slices.ContainsFunc(owners, func(one owner) bool {
		same := func(old owner) bool { return old.uid == one.uid }
		equal := func(old owner) bool {
			return same(old) && old.kind == one.kind && old.version == one.version && old.name == one.name
		}
		return slices.ContainsFunc(before, same) && !slices.ContainsFunc(before, equal)
	})
}

// isGivenUp says whether an object has an owner that it cannot have.
func (o *object) isGivenUp() bool {
	return o.id.place == nowhere && slices.ContainsFunc(o.owners, func(owner owner) bool { return owner.kind.namespaced })
}

// labelling puts the label on an object, or takes it off, on one database.
type labelling struct {
	id       id
	uid      uid
	database int
	on       bool
}

func (l labelling) String() string {
	if l.on {
		return fmt.Sprintf("put the label on %s on database %d", l.id, l.database+1)
	}
	return fmt.Sprintf("take the label off %s on database %d", l.id, l.database+1)
}

func (l labelling) apply(w world) (world, bool) {
	o := w.find(l.uid)
	if o == nil {
		return w, true
	}
	changed := *o
	changed.labelled[l.database] = l.on
	changed.shown[l.database] = o.shown[l.database] || !l.on
	return w.with(&changed), true
}

// undefinition deletes the definition of the story's own kind. The objects of that kind go one after the other, in any order.
type undefinition struct{ kind *kind }

func (u undefinition) String() string { return "delete the definition of " + u.kind.name }

func (u undefinition) apply(w world) (world, bool) { return w, true }

// left are the objects that are still to be deleted.
func (u undefinition) left(w world) world {
	return slices.DeleteFunc(slices.Clone(w), func(o *object) bool { return o.id.kind != u.kind || o.deleting })
}
