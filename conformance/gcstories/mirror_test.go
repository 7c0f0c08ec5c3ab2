package gcstories

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	asList   = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	asObject = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
)

// mirror holds the objects of all stories of a side, by watches.
type mirror struct {
	side  *side
	mutex sync.Mutex
	views map[string]*view
}

// view is the objects of one story.
type view struct {
	objects map[*kind]map[string]metadata // by namespace and name
	seen    map[*kind]uint64              // the version up to which nothing is missing
	changed chan struct{}                 // closed by the next change
}

// view is that of a story; to be called with the mutex.
func (m *mirror) view(story string) *view {
	v := m.views[story]
	if v == nil {
		v = &view{objects: map[*kind]map[string]metadata{}, seen: map[*kind]uint64{}, changed: make(chan struct{})}
		m.views[story] = v
	}
	return v
}

// look passes the objects of a story to a function, and returns what is closed by their next change.
func (m *mirror) look(story string, see func(*kind, metadata)) <-chan struct{} {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	v := m.view(story)
	for k, objects := range v.objects {
		for _, object := range objects {
			see(k, object)
		}
	}
	return v.changed
}

// set takes note of an object, or that it is gone.
func (m *mirror) set(k *kind, object metadata, gone bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	v := m.view(object.Labels[storyLabel])
	if v.objects[k] == nil {
		v.objects[k] = map[string]metadata{}
	}
	name := object.Namespace + "/" + object.Name
	if gone {
		delete(v.objects[k], name)
	} else {
		v.objects[k][name] = object
	}
	v.see(k, object.ResourceVersion)
}

// see takes note that all is known up to a version.
func (v *view) see(k *kind, version string) {
	if number, err := strconv.ParseUint(version, 10, 64); err == nil {
		v.seen[k] = max(v.seen[k], number)
	}
	close(v.changed)
	v.changed = make(chan struct{})
}

// seen returns up to which version all is known of a story's objects of a kind, and what is closed when that changes.
func (m *mirror) seen(story string, k *kind) (uint64, <-chan struct{}) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	v := m.view(story)
	return v.seen[k], v.changed
}

// replace takes note that there are no other objects of a kind.
func (m *mirror) replace(k *kind, listed answer) {
	there := map[string]bool{}
	for _, item := range listed.Items {
		there[item.Metadata.UID] = true
		m.set(k, item.Metadata, false)
	}
	for _, object := range m.all(k) {
		if !there[object.UID] {
			m.set(k, object, true)
		}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, v := range m.views {
		v.see(k, listed.Metadata.ResourceVersion)
	}
}

func (m *mirror) all(k *kind) []metadata {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	var all []metadata
	for _, v := range m.views {
		for _, object := range v.objects[k] {
			all = append(all, object)
		}
	}
	return all
}

// follow begins to watch a kind, until the context ends.
func (m *mirror) follow(ctx context.Context, k *kind) error {
	version, err := m.list(ctx, k)
	if err != nil {
		return err
	}
	go func() {
		for ctx.Err() == nil {
			if version, err = m.watch(ctx, k, version); err != nil {
				version, _ = m.list(ctx, k)
			}
		}
	}()
	return nil
}

func (m *mirror) list(ctx context.Context, k *kind) (version string, err error) {
	listed, err := m.side.insist(ctx, request{method: http.MethodGet, path: k.folder("") + "?labelSelector=" + storyLabel, accept: asList}, http.StatusOK,
		http.StatusNotFound) // its definition is gone
	if err != nil {
		return "", err
	}
	m.replace(k, listed)
	return listed.Metadata.ResourceVersion, nil
}

// watch returns from where to go on if it is ended, and an error if nobody can know.
func (m *mirror) watch(ctx context.Context, k *kind, version string) (string, error) {
	query := url.Values{"watch": {"1"}, "labelSelector": {storyLabel}, "allowWatchBookmarks": {"true"}, "resourceVersion": {version}}
	response, err := m.side.send(ctx, request{method: http.MethodGet, path: k.folder("") + "?" + query.Encode(), accept: asObject})
	if err != nil {
		return version, pause(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return version, pause(ctx, fmt.Errorf("%s", response.Status))
	}
	for decoder := json.NewDecoder(response.Body); ; {
		var event struct {
			Type   string
			Object struct{ Metadata metadata }
		}
		if err := decoder.Decode(&event); err != nil {
			return version, nil
		}
		object := event.Object.Metadata
		switch event.Type {
		case "ADDED", "MODIFIED", "DELETED":
			m.set(k, object, event.Type == "DELETED")
		case "ERROR":
			return version, pause(ctx, fmt.Errorf("the watch of %s has failed", k.plural))
		}
		version = object.ResourceVersion
	}
}

// pause keeps a server that is not there from being asked all the time.
func pause(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
	case <-time.After(retryEvery):
	}
	return err
}
