package gcstories

import (
	"fmt"
	"slices"
	"strings"
)

// place is where an object is: in the namespace of its story, in the one that stories share, or in none.
type place string

const (
	home      place = "home"
	elsewhere place = "elsewhere"
	nowhere   place = ""
)

// id is what there is at most one object of at a time. Names outside of a story's own namespace begin with that of the story.
type id struct {
	kind  *kind
	place place
	name  string
}

func (i id) String() string {
	if i.place == elsewhere {
		return fmt.Sprintf("%s elsewhere/%s", strings.ToLower(i.kind.name), i.name)
	}
	return strings.ToLower(i.kind.name) + " " + i.name
}

// uid stands for an object's uid, which is another one on each side: "red a#2" is the second Red with this name.
type uid string

// nobody is a uid that no object has.
const nobody uid = "nobody"

// owner is an owner reference.
type owner struct {
	kind       *kind
	version    string // may be one that is not served
	name       string
	uid        uid
	block      string // "true", "false", or "" for neither
	controller bool
}

func (o owner) String() string {
	text := fmt.Sprintf("%s %s %s (%s)", o.kind.apiVersion(o.version), o.kind.name, o.name, o.uid)
	if o.block != "" {
		text += " block=" + o.block
	}
	if o.controller {
		text += " controller"
	}
	return text
}

const (
	foreground = "foregroundDeletion"
	orphan     = "orphan"
	hold       = group + "/hold"
	hold2      = group + "/hold-too"
)

// databases is on how many databases HariKube is looked at.
const databases = 2

// object is what matters of an object. It is never changed, only replaced.
type object struct {
	id         id
	uid        uid
	owners     []owner
	finalizers []string
	deleting   bool
	// waited is whether it has ever been deleted in the foreground: kube-controller-manager does not forget that.
	waited bool
	// labelled is whether it has the label, on each database.
	labelled [databases]bool
	// shown is whether it has ever lost the label, on each database.
	shown [databases]bool
}

func (o *object) has(finalizer string) bool { return slices.Contains(o.finalizers, finalizer) }

// isWaiting says whether it waits for its dependents to go.
func (o *object) isWaiting() bool { return o.deleting && o.has(foreground) }

// isHidden says whether kube-controller-manager does not see it, beside a database.
func (o *object) isHidden(database int) bool { return o.labelled[database] && o.id.kind.isCustom() }

func (o *object) isDependentOf(uid uid) bool {
	return slices.ContainsFunc(o.owners, func(owner owner) bool { return owner.uid == uid })
}

func (o *object) blocks(uid uid) bool {
	return slices.ContainsFunc(o.owners, func(owner owner) bool { return owner.uid == uid && owner.block == "true" })
}

// isMisnamedBy says whether a dependent names it where it is not, or in a version that nobody can ask for.
func (o *object) isMisnamedBy(dependent *object) bool {
	return slices.ContainsFunc(dependent.owners, func(owner owner) bool {
		at := id{owner.kind, nowhere, owner.name}
		if owner.kind.namespaced {
			at.place = dependent.id.place
		}
		return owner.uid == o.uid && (at != o.id || !slices.Contains(owner.kind.served, owner.version))
	})
}

func (o *object) hasOwnerOf(kind *kind) bool {
	return slices.ContainsFunc(o.owners, func(owner owner) bool { return owner.kind == kind })
}

// isOfTwoMinds says whether it blocks an owner, and says of the same that it does not.
func (o *object) isOfTwoMinds() bool {
	return slices.ContainsFunc(o.owners, func(owner owner) bool { return owner.block != "true" && o.blocks(owner.uid) })
}

// line is how it is compared, and shown. The order of the owners is no matter: patches change it.
func (o *object) line(labelled bool) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s (%s)", o.id, o.uid)
	if labelled {
		text.WriteString(" labelled")
	}
	if o.deleting {
		text.WriteString(" deleting")
	}
	if len(o.finalizers) > 0 {
		fmt.Fprintf(&text, " held by %s", strings.Join(o.finalizers, ", "))
	}
	var owners []string
	for _, owner := range o.owners {
		owners = append(owners, fmt.Sprintf("\n      owner %s", owner))
	}
	slices.Sort(owners)
	text.WriteString(strings.Join(owners, ""))
	return text.String()
}

// world is all objects of a story, in the order in which they were created.
type world []*object

func (w world) at(id id) *object {
	for _, o := range w {
		if o.id == id {
			return o
		}
	}
	return nil
}

func (w world) find(uid uid) *object {
	for _, o := range w {
		if o.uid == uid {
			return o
		}
	}
	return nil
}

// with has an object in the place of that with its id, or in addition.
func (w world) with(o *object) world {
	next := slices.Clone(w)
	for i := range next {
		if next[i].id == o.id {
			next[i] = o
			return next
		}
	}
	return append(next, o)
}

func (w world) without(o *object) world {
	return slices.DeleteFunc(slices.Clone(w), func(other *object) bool { return other.id == o.id })
}

func (w world) dependents(uid uid) world {
	var found world
	for _, o := range w {
		if o.isDependentOf(uid) {
			found = append(found, o)
		}
	}
	return found
}

// anybody is the reference, where nothing is labelled.
const anybody = -1

// lines are the same for equal worlds beside a database: one for each object.
func (w world) lines(database int) []string {
	var lines []string
	for _, o := range w {
		lines = append(lines, o.line(database != anybody && o.labelled[database]))
	}
	slices.Sort(lines)
	return lines
}

// key is the same for worlds that are equal in everything.
func (w world) key() string {
	var key strings.Builder
	for _, o := range w {
		fmt.Fprintf(&key, "%s %v %v %v\n", o.line(false), o.waited, o.labelled, o.shown)
	}
	return key.String()
}
