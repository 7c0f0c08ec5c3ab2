package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestBookmarks has a watch that nothing matches told how far it is: where it begins anew from its first
// revision, as informers do every few minutes, the store has to read all that has changed since.
func TestBookmarks(t *testing.T) {
	for name, store := range databases {
		t.Run(name, func(t *testing.T) {
			c := cluster{data: filepath.Join(build, "test-data", "bookmarks-"+name), store: store(t)}
			c.bookmarks(t)
		})
	}
}

func (c *cluster) bookmarks(t *testing.T) {
	if err := os.RemoveAll(c.data); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	c.Do(t, "create", "namespace", "team")
	c.Apply(t, widgets)
	c.Established(t, "widgets.test.harikube.io")
	c.Apply(t, widget("first", "blue", 1))
	query := url.Values{"watch": {"true"}, "allowWatchBookmarks": {"true"}, "labelSelector": {"color=none"},
		"resourceVersion": {c.version(t, "first")}}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.plane.URL+"/apis/test.harikube.io/v1/widgets?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := c.plane.Client()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	c.Apply(t, widget("second", "blue", 2))
	last, err := strconv.Atoi(c.version(t, "second"))
	if err != nil {
		t.Fatal(err)
	}
	var event struct {
		Type   string
		Object struct {
			Metadata struct{ ResourceVersion string }
		}
	}
	if err := json.NewDecoder(answer.Body).Decode(&event); err != nil {
		t.Fatal("no bookmark has come: ", err)
	}
	version, err := strconv.Atoi(event.Object.Metadata.ResourceVersion)
	if event.Type != "BOOKMARK" || err != nil || version < last {
		t.Errorf("the watch shows %+v, not a bookmark from %d on", event, last)
	}
}
