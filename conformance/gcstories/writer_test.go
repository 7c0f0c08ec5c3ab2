package gcstories

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// point is some operations, and what there is when all is quiet after them.
type point struct {
	operations []operation
	after      world
	// orphans are the kinds of what may be set free by its owner: kube-controller-manager must know of it by then.
	orphans []*kind
}

// story is a series of operations on objects of its own. The same seed always makes the same.
type story struct {
	seed   int
	name   string
	modes  [databases]mode
	own    *kind // nil for most stories
	points []point
}

// mode is how many of the objects have the label.
type mode string

const (
	all  mode = "all"
	half mode = "half"
	none mode = "none"
)

// writer makes up a story. It knows which objects there are when it is quiet.
type writer struct {
	*story
	rand    *rand.Rand
	world   world
	born    map[id]int
	dead    world
	defined bool // whether there still is a definition of the story's own kind
	leftOut map[string]int
}

// ownKindOneOf is how rare stories are with a definition of their own: kube-controller-manager learns of it after 30 seconds.
const ownKindOneOf = 25

// write makes up the story of a seed; it counts in leftOut what is not told, and why.
func write(seed int, leftOut map[string]int) *story {
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	w := &writer{story: &story{seed: seed, name: fmt.Sprintf("story-%d", seed)}, rand: r, born: map[id]int{}, leftOut: leftOut}
	for database := range w.modes {
		w.modes[database] = pick(r, []mode{all, half, half, none})
	}
	if r.IntN(ownKindOneOf) == 0 {
		w.own, w.defined = ownKind(w.name), true
	}
	for objects := 4 + r.IntN(9); len(w.world) < objects && w.attempt(w.creations); {
	}
	parts := 4 + r.IntN(7)
	end := r.IntN(parts)
	for i := range parts {
		if w.defined && i >= end {
			w.undefine()
		}
		w.attempt(w.something)
	}
	if r.IntN(3) > 0 {
		w.attempt(w.letGo)
	}
	return w.story
}

func pick[T any](r *rand.Rand, values []T) T { return values[r.IntN(len(values))] }

// oneOf says true one time of n.
func (w *writer) oneOf(n int) bool { return w.rand.IntN(n) == 0 }

// undefine has the story's own kind deleted, often with something else at once.
func (w *writer) undefine() {
	w.attempt(w.letGo)
	w.attempt(func() []operation {
		operations := []operation{undefinition{w.own}}
		if w.oneOf(2) {
			operations = append(w.something(), operations...)
		}
		return operations
	})
}

// attempt adds operations to the story that can have but one end.
func (w *writer) attempt(choose func() []operation) bool {
	const attempts = 30
	for range attempts {
		operations := choose()
		if len(operations) == 0 {
			continue
		}
		if e := explore(w.world, operations); !e.isLeftOut(w.leftOut) {
			w.add(operations, e)
			return true
		}
	}
	return false
}

func (w *writer) add(operations []operation, e *exploration) {
	end := e.ends[0]
	for _, one := range operations {
		switch one := one.(type) {
		case creation:
			w.born[one.object.id]++
		case undefinition:
			w.defined = false
		}
	}
	for _, o := range w.world {
		if end.find(o.uid) == nil {
			w.dead = append(w.dead, o)
		}
	}
	w.world = end
	w.points = append(w.points, point{operations, end, e.orphans()})
}

// creations are one after the other, often with those before as owners.
func (w *writer) creations() []operation {
	before := slices.Clone(w.world)
	var operations []operation
	for range 1 + w.rand.IntN(4) {
		o := w.object(w.place())
		if o == nil || before.at(o.id) != nil {
			continue
		}
		o.owners = w.owners(o.id, before)
		operations = append(operations, creation{o})
		before = append(before, o)
	}
	return operations
}

// place is where a new object is to be; its name may be taken.
func (w *writer) place() id {
	kinds := []*kind{reds, reds, reds, blues, blues, zones, configMaps, configMaps, services}
	if w.defined {
		kinds = append(kinds, w.own, w.own, w.own, w.own)
	}
	at := id{pick(w.rand, kinds), home, string(rune('a' + w.rand.IntN(15)))}
	switch {
	case !at.kind.namespaced:
		at.place = nowhere
	case at.kind != w.own && w.oneOf(12):
		at.place = elsewhere
	}
	if at.place != home {
		at.name = w.name + "-" + at.name
	}
	return at
}

func (w *writer) object(at id) *object {
	o := &object{id: at, uid: uid(fmt.Sprintf("%s#%d", at, w.born[at]+1))}
	if w.oneOf(4) {
		o.finalizers = append(o.finalizers, hold)
	}
	if w.oneOf(16) {
		o.finalizers = append(o.finalizers, hold2)
	}
	switch w.rand.IntN(16) {
	case 0:
		o.finalizers = append(o.finalizers, orphan)
	case 1:
		o.finalizers = append([]string{foreground}, o.finalizers...)
	}
	for database, mode := range w.modes {
		o.labelled[database] = mode == all || mode == half && w.oneOf(2)
	}
	return o
}

// reference is the right one to an object.
func (w *writer) reference(o *object) owner {
	return owner{kind: o.id.kind, version: pick(w.rand, o.id.kind.served), name: o.id.name, uid: o.uid, block: pick(w.rand, []string{"true", "true", "false", ""})}
}

// owners are those of an object, from among the others.
func (w *writer) owners(of id, others world) []owner {
	var owners []owner
	for range pick(w.rand, []int{0, 0, 1, 1, 1, 1, 2, 2, 3, 4}) {
		one := w.owner(of, others)
		twice := slices.ContainsFunc(owners, func(other owner) bool { return other.uid == one.uid })
		if one.kind != nil && (!twice || w.oneOf(8)) {
			owners = append(owners, one)
		}
	}
	owners = withoutRepetition(owners)
	if len(owners) > 0 && w.oneOf(3) {
		owners[w.rand.IntN(len(owners))].controller = true
	}
	return owners
}

// owner has no kind if there is none.
func (w *writer) owner(of id, others world) owner {
	if len(w.dead) > 0 && w.oneOf(30) {
		if o := pick(w.rand, w.dead); o.id.kind != w.own {
			return w.reference(o)
		}
	}
	var fit world
	for _, o := range others {
		if !o.deleting && (o.id.place == of.place || o.id.place == nowhere || w.oneOf(25)) {
			fit = append(fit, o)
		}
	}
	if len(fit) == 0 {
		return owner{}
	}
	one := w.reference(pick(w.rand, fit))
	w.spoil(&one)
	return one
}

// spoil makes some references wrong. Kube-controller-manager asks again and again for what is not served, and in all it may
// do so ten times a second: so that is rare.
func (w *writer) spoil(one *owner) {
	switch w.rand.IntN(60) {
	case 0, 1:
		one.uid = nobody
	case 2, 3:
		one.name = "nobody"
	case 4:
		one.kind, one.version = pick(w.rand, []*kind{reds, blues, configMaps, services, zones}), "v1"
	case 5:
		if one.kind.unserved != "" {
			one.version = one.kind.unserved
		}
	case 6:
		one.kind, one.version = unheardOf, unheardOf.unserved
	}
}

// something is what happens to objects that are there.
func (w *writer) something() []operation {
	if len(w.world) == 0 || w.oneOf(8) {
		return w.creations()
	}
	var operations []operation
	for range pick(w.rand, []int{1, 1, 1, 2, 3}) {
		o := pick(w.rand, w.world)
		switch n := w.rand.IntN(20); {
		case n < 10:
			operations = append(operations, w.deletion())
		case n < 14 && len(o.finalizers) > 0:
			operations = append(operations, unholding{o.id, o.uid, pick(w.rand, o.finalizers)})
		case n < 17:
			operations = append(operations, change{o.id, o.uid, w.otherOwners(o)})
		default:
			database := w.rand.IntN(databases)
			operations = append(operations, labelling{o.id, o.uid, database, !o.labelled[database]})
		}
	}
	if w.oneOf(4) {
		operations = append(operations, w.recreation()...)
	}
	return operations
}

// deletion is more often of an object that others depend on.
func (w *writer) deletion() operation {
	o := pick(w.rand, w.world)
	for range 3 {
		if len(w.world.dependents(o.uid)) == 0 {
			o = pick(w.rand, w.world)
		}
	}
	return deletion{o.id, o.uid, pick(w.rand, []policy{background, background, inForeground, inForeground, orphaning, usual})}
}

// otherOwners are those of before with a change, or others.
func (w *writer) otherOwners(o *object) []owner {
	owners := slices.Clone(o.owners)
	if len(owners) == 0 || w.oneOf(4) {
		return w.owners(o.id, w.world) // itself may be among them
	}
	i := w.rand.IntN(len(owners))
	switch w.rand.IntN(3) {
	case 0:
		// More often one that nobody can look at: it keeps kube-controller-manager from looking at the others.
		if bad := slices.IndexFunc(owners, func(one owner) bool { return one.version == one.kind.unserved }); bad >= 0 {
			i = bad
		}
		return slices.Delete(owners, i, i+1)
	case 1:
		owners[i].block = pick(w.rand, []string{"true", "false", ""})
		return withoutRepetition(owners)
	default:
		if one := w.owner(o.id, w.world); one.kind != nil {
			owners = append(owners, one)
		}
		return withoutRepetition(owners)
	}
}

// withoutRepetition leaves out references that are equal, as the API server does.
func withoutRepetition(owners []owner) []owner {
	var different []owner
	for _, one := range owners {
		if !slices.Contains(different, one) {
			different = append(different, one)
		}
	}
	return different
}

// recreation makes an object under the name of one that is gone.
func (w *writer) recreation() []operation {
	if len(w.dead) == 0 {
		return nil
	}
	at := pick(w.rand, w.dead).id
	if w.world.at(at) != nil || at.kind == w.own && !w.defined {
		return nil
	}
	o := w.object(at)
	o.owners = w.owners(at, w.world)
	return []operation{creation{o}}
}

// letGo takes away all finalizers of others.
func (w *writer) letGo() []operation {
	var operations []operation
	for _, o := range w.world {
		for _, finalizer := range o.finalizers {
			if finalizer == hold || finalizer == hold2 {
				operations = append(operations, unholding{o.id, o.uid, finalizer})
			}
		}
	}
	return operations
}
