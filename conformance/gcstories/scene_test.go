package gcstories

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	mergePatch = "application/merge-patch+json"
	// made is a uid that no object gets.
	made = "00000000-0000-4000-8000-000000000000"
)

// scene is a side on which a story is played.
type scene struct {
	*side
	story *story
	ctx   context.Context
	stop  context.CancelFunc

	mutex  sync.Mutex
	uids   map[uid]string
	spoken map[string]uid // the same the other way around
}

func (s *side) scene(ctx context.Context, told *story) *scene {
	ctx, stop := context.WithCancel(ctx)
	return &scene{
		side: s, story: told, ctx: ctx, stop: stop,
		uids: map[uid]string{nobody: made}, spoken: map[string]uid{made: nobody},
	}
}

// open makes what the story needs.
func (c *scene) open() error {
	own := c.story.own
	if err := c.createNamespace(c.ctx, c.story.name); err != nil || own == nil {
		return err
	}
	if err := c.define(c.ctx, own); err != nil {
		return err
	}
	if err := c.mirror.follow(c.ctx, own); err != nil {
		return err
	}
	return c.collects(c.ctx, own, c.story.name, "canary")
}

// catchUp returns when kube-controller-manager knows of all objects of these kinds: it sees each kind for itself.
func (c *scene) catchUp(kinds []*kind) error {
	errs := make(chan error, len(kinds))
	for _, k := range kinds {
		go func() { errs <- c.collects(c.ctx, k, c.namespace(home), c.story.name+"-canary") }()
	}
	var failed error
	for range kinds {
		failed = cmp.Or(failed, <-errs)
	}
	return failed
}

// canaries have an owner each, which has never been.
var canaries atomic.Int64

// collects returns when kube-controller-manager has collected an object whose owner there has never been: it knows the kind
// then, and all of its objects from before.
func (s *side) collects(ctx context.Context, k *kind, namespace, name string) error {
	if !k.namespaced {
		namespace = ""
	}
	lost := ownerReference{APIVersion: "v1", Kind: "Namespace", Name: name, UID: fmt.Sprintf("canary-%d", canaries.Add(1))}
	path := k.folder(namespace)
	body := map[string]any{
		"apiVersion": k.apiVersion(k.served[0]), "kind": k.name,
		"metadata": map[string]any{"name": name, "ownerReferences": []ownerReference{lost}},
	}
	if k.spec != nil {
		body["spec"] = k.spec
	}
	if _, err := s.insist(ctx, request{method: http.MethodPost, path: path, body: body}, http.StatusCreated, http.StatusConflict); err != nil {
		return err
	}
	_, err := s.insist(ctx, request{method: http.MethodGet, path: path + "/" + name}, http.StatusNotFound)
	return err
}

func (c *scene) namespace(p place) string {
	switch p {
	case home:
		return c.story.name
	case elsewhere:
		return string(elsewhere)
	default:
		return ""
	}
}

func (c *scene) path(at id) string { return at.kind.folder(c.namespace(at.place)) + "/" + at.name }

func (c *scene) uid(u uid) string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.uids[u]
}

func (c *scene) name(u uid, is string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.uids[u], c.spoken[is] = is, u
}

func (c *scene) isNamed(is string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	_, named := c.spoken[is]
	return named
}

func (c *scene) references(owners []owner) []ownerReference {
	references := []ownerReference{}
	for _, o := range owners {
		reference := ownerReference{APIVersion: o.kind.apiVersion(o.version), Kind: o.kind.name, Name: o.name, UID: c.uid(o.uid)}
		if o.block != "" {
			block := o.block == "true"
			reference.BlockOwnerDeletion = &block
		}
		if o.controller {
			reference.Controller = &o.controller
		}
		references = append(references, reference)
	}
	return references
}

func (n creation) play(c *scene) error {
	o := n.object
	labels := map[string]string{storyLabel: c.story.name}
	if c.database != anybody && o.labelled[c.database] {
		labels[label] = ""
	}
	body := map[string]any{
		"apiVersion": o.id.kind.apiVersion(o.id.kind.served[0]), "kind": o.id.kind.name,
		"metadata": map[string]any{
			"name": o.id.name, "labels": labels, "finalizers": o.finalizers, "ownerReferences": c.references(o.owners),
		},
	}
	if o.id.kind.spec != nil {
		body["spec"] = o.id.kind.spec
	}
	path := c.path(o.id)
	for c.ctx.Err() == nil {
		created, err := c.insist(c.ctx, request{method: http.MethodPost, path: strings.TrimSuffix(path, "/"+o.id.name), body: body},
			http.StatusCreated, http.StatusConflict)
		if err != nil {
			return err
		}
		if created.code == http.StatusConflict { // with what an attempt has made whose answer has been lost
			created, err = c.insist(c.ctx, request{method: http.MethodGet, path: path}, http.StatusOK, http.StatusNotFound)
			if err != nil || created.code == http.StatusNotFound || c.isNamed(created.Metadata.UID) {
				continue
			}
		}
		c.name(o.uid, created.Metadata.UID)
		return c.sees(o.id.kind, created)
	}
	return c.ctx.Err()
}

func (d deletion) play(c *scene) error {
	options := map[string]any{"preconditions": map[string]any{"uid": c.uid(d.uid)}}
	if d.policy != usual {
		options["propagationPolicy"] = d.policy
	}
	done, err := c.insist(c.ctx, request{method: http.MethodDelete, path: c.path(d.id), body: options},
		http.StatusOK, http.StatusAccepted, http.StatusNotFound, http.StatusConflict)
	if err != nil {
		return err
	}
	return c.sees(d.id.kind, done)
}

// edit changes metadata of an object, if it is there, so that no other change is undone.
func (c *scene) edit(at id, uid uid, edit func(metadata) map[string]any) error {
	path := c.path(at)
	for c.ctx.Err() == nil {
		now, err := c.insist(c.ctx, request{method: http.MethodGet, path: path}, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		if now.code == http.StatusNotFound || now.Metadata.UID != c.uid(uid) {
			return nil
		}
		patch := edit(now.Metadata)
		patch["resourceVersion"] = now.Metadata.ResourceVersion
		done, err := c.insist(c.ctx, request{
			method: http.MethodPatch, path: path, body: map[string]any{"metadata": patch}, contentType: mergePatch,
		}, http.StatusOK, http.StatusNotFound, http.StatusConflict)
		if err != nil {
			return err
		}
		if done.code != http.StatusConflict {
			return c.sees(at.kind, done)
		}
	}
	return c.ctx.Err()
}

// sees returns when the mirror has what an answer has: what was there before may be what is foreseen, too.
func (c *scene) sees(k *kind, done answer) error {
	version, err := strconv.ParseUint(done.Metadata.ResourceVersion, 10, 64)
	if err != nil {
		return nil // it has gone, which is never foreseen before
	}
	deadline := time.NewTimer(2 * within)
	defer deadline.Stop()
	for {
		seen, changed := c.mirror.seen(c.story.name, k)
		if seen >= version {
			return nil
		}
		select {
		case <-changed:
		case <-deadline.C:
			return fmt.Errorf("the watch of %s has come to %d, and not to %d", k.plural, seen, version)
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

func (u unholding) play(c *scene) error {
	return c.edit(u.id, u.uid, func(now metadata) map[string]any {
		left := slices.DeleteFunc(now.Finalizers, func(finalizer string) bool { return finalizer == u.finalizer })
		return map[string]any{"finalizers": append([]string{}, left...)}
	})
}

func (n change) play(c *scene) error {
	return c.edit(n.id, n.uid, func(metadata) map[string]any {
		return map[string]any{"ownerReferences": c.references(n.owners)}
	})
}

func (l labelling) play(c *scene) error {
	if c.database != l.database {
		return nil
	}
	return c.edit(l.id, l.uid, func(metadata) map[string]any {
		var value any
		if l.on {
			value = ""
		}
		return map[string]any{"labels": map[string]any{label: value}}
	})
}

func (u undefinition) play(c *scene) error {
	_, err := c.insist(c.ctx, request{method: http.MethodDelete, path: definitions + "/" + u.kind.definitionName()}, http.StatusOK, http.StatusNotFound)
	return err
}

// lines are what there is, as world.lines has it, and what is closed when that changes.
func (c *scene) lines(labels bool) ([]string, <-chan struct{}) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	var lines []string
	changed := c.mirror.look(c.story.name, func(k *kind, object metadata) {
		_, labelled := object.Labels[label]
		lines = append(lines, c.object(k, object).line(labels && labelled))
	})
	slices.Sort(lines)
	return lines, changed
}

// object is to be called with the mutex.
func (c *scene) object(k *kind, m metadata) *object {
	o := &object{id: id{k, nowhere, m.Name}, uid: c.said(m.UID), finalizers: m.Finalizers, deleting: m.DeletionTimestamp != nil}
	switch m.Namespace {
	case c.story.name:
		o.id.place = home
	case string(elsewhere):
		o.id.place = elsewhere
	}
	for _, reference := range m.OwnerReferences {
		o.owners = append(o.owners, c.owner(reference))
	}
	return o
}

func (c *scene) owner(reference ownerReference) owner {
	o := owner{name: reference.Name, uid: c.said(reference.UID), controller: reference.Controller != nil && *reference.Controller}
	if reference.BlockOwnerDeletion != nil {
		o.block = fmt.Sprint(*reference.BlockOwnerDeletion)
	}
	group, version, found := strings.Cut(reference.APIVersion, "/")
	if !found {
		group, version = "", reference.APIVersion
	}
	o.kind, o.version = &kind{name: reference.Kind, group: group}, version
	return o
}

func (c *scene) said(is string) uid {
	if u, ok := c.spoken[is]; ok {
		return u
	}
	return uid("another, " + is)
}

// isAs says whether there is what is foreseen, and returns what is closed when that may change.
func (c *scene) isAs(foreseen world) (bool, <-chan struct{}) {
	lines, changed := c.lines(true)
	return slices.Equal(lines, foreseen.lines(c.database)), changed
}

// await waits until there is what is foreseen; it returns whether that has come true.
func (c *scene) await(foreseen world, within time.Duration) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		is, changed := c.isAs(foreseen)
		if is {
			return true
		}
		select {
		case <-changed:
		case <-deadline.C:
			return false
		case <-c.ctx.Done():
			return false
		}
	}
}
