package gcstories

import (
	"fmt"
	"strings"
	"testing"
)

// TestWriter checks that a seed always makes the same story, and that stories have everything in them that is promised.
func TestWriter(t *testing.T) {
	const stories = 400
	leftOut, found := map[string]int{}, map[string]int{}
	points := 0
	for seed := range stories {
		s := write(seed, leftOut)
		points += len(s.points)
		if seed < 50 && told(s) != told(write(seed, map[string]int{})) {
			t.Errorf("seed %d makes another story the second time", seed)
		}
		for feature := range s.features() {
			found[feature]++
		}
	}
	t.Logf("%d points; %v; left out %v", points, found, leftOut)
	for _, feature := range promised {
		if found[feature] == 0 {
			t.Errorf("none of %d stories has: %s", stories, feature)
		}
	}
}

func told(s *story) string {
	var text strings.Builder
	for _, one := range s.points {
		fmt.Fprintln(&text, one.operations, one.after.key())
	}
	return text.String()
}

var promised = []string{
	"Red", "Blue", "Zone", "ConfigMap", "Service", "Own", "delete a definition", "elsewhere", "recreated", "label put on", "label taken off",
	"definition deleted in the middle", "recreated owner deleted",
	"no owners", "1 owners", "2 owners", "3 owners", "4 owners", "controller", "block true", "block false", "block ",
	"uid of nobody", "wrong name", "wrong kind", "owner in another namespace", "owner that is gone", "unserved version", "other served version",
	"unknown kind", "namespaced owner of a cluster-scoped object", "cluster-scoped owner", "self-reference", "circle", "one owner twice",
	"Background", "Foreground", "Orphan", "", "second deletion with another policy", "held", "orphan at creation", "foregroundDeletion at creation",
	"finalizer of others taken away", "finalizer of garbage collection taken away", "owners changed", "several operations at once",
	"hidden owner of a visible object deleted in the foreground", "visible owner orphans something hidden",
}

// features are what a story has of what is promised.
type features map[string]bool

func (f features) note(feature string, has bool) {
	if has {
		f[feature] = true
	}
}

func (s *story) features() features {
	f := features{}
	var before world
	for i, one := range s.points {
		f.note("several operations at once", len(one.operations) > 1)
		for _, o := range one.operations {
			_, undefines := o.(undefinition)
			f.note("definition deleted in the middle", undefines && i < len(s.points)-2)
			next, _ := o.apply(before)
			o.note(f, before)
			before = next
		}
		before = one.after
	}
	return f
}

func (c creation) note(f features, before world) {
	o := c.object
	f.note(o.id.kind.name, true)
	f.note("elsewhere", o.id.place == elsewhere)
	f.note("recreated", !strings.HasSuffix(string(o.uid), "#1"))
	f.note("held", o.has(hold))
	f.note("orphan at creation", o.has(orphan))
	f.note("foregroundDeletion at creation", o.has(foreground))
	before.with(o).noteOwners(f, o, o.owners)
}

func (d deletion) note(f features, before world) {
	f.note(string(d.policy), true)
	o := before.find(d.uid)
	if o == nil {
		return
	}
	next := before.delete(o, d.policy).find(d.uid)
	f.note("second deletion with another policy", o.deleting && next != nil && fmt.Sprint(next.finalizers) != fmt.Sprint(o.finalizers))
	for _, dependent := range before.dependents(o.uid) {
		f.note("recreated owner deleted", !strings.HasSuffix(string(o.uid), "#1"))
		for database := range databases {
			hidden := o.isHidden(database)
			f.note("hidden owner of a visible object deleted in the foreground", d.policy == inForeground && hidden && !dependent.isHidden(database))
			f.note("visible owner orphans something hidden", d.policy == orphaning && !hidden && dependent.isHidden(database))
		}
	}
}

func (u unholding) note(f features, _ world) {
	if u.finalizer == hold || u.finalizer == hold2 {
		f.note("finalizer of others taken away", true)
	} else {
		f.note("finalizer of garbage collection taken away", true)
	}
}

func (c change) note(f features, before world) {
	f.note("owners changed", true)
	if o := before.find(c.uid); o != nil {
		changed := *o
		changed.owners = c.owners
		before.with(&changed).noteOwners(f, &changed, c.owners)
	}
}

func (l labelling) note(f features, _ world) {
	f.note("label put on", l.on)
	f.note("label taken off", !l.on)
}

func (undefinition) note(f features, _ world) { f.note("delete a definition", true) }

func (w world) noteOwners(f features, o *object, owners []owner) {
	if len(owners) == 0 {
		f.note("no owners", true)
	} else {
		f.note(fmt.Sprintf("%d owners", len(owners)), true)
	}
	uids := map[uid]bool{}
	for _, one := range owners {
		f.note("block "+one.block, true)
		f.note("controller", one.controller)
		f.note("one owner twice", uids[one.uid])
		uids[one.uid] = true
		for feature, has := range w.featuresOf(one, o) {
			f.note(feature, has)
		}
	}
}

func (w world) featuresOf(one owner, o *object) map[string]bool {
	named := w.find(one.uid)
	alive := named != nil
	return map[string]bool{
		"uid of nobody":              one.uid == nobody,
		"owner that is gone":         !alive && one.uid != nobody,
		"wrong name":                 alive && named.id.name != one.name,
		"wrong kind":                 alive && named.id.kind != one.kind && one.kind != unheardOf,
		"owner in another namespace": alive && one.kind.namespaced && named.id.place != o.id.place,
		"unserved version":           one.version == one.kind.unserved && one.kind != unheardOf,
		"other served version":       one.kind == reds && one.version == "v2",
		"unknown kind":               one.kind == unheardOf,
		"cluster-scoped owner":       one.kind == zones,
		"namespaced owner of a cluster-scoped object": one.kind.namespaced && o.id.place == nowhere,
		"self-reference": alive && named.uid == o.uid,
		"circle":         alive && named.uid != o.uid && named.isDependentOf(o.uid),
	}
}
