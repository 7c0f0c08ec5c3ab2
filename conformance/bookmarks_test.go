package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// TestBookmarks has watches that nothing matches told how far they are: where such a watch begins anew from its first
// revision, as informers do every few minutes, the store has to read all that has changed since.
func TestBookmarks(t *testing.T) {
	for name, store := range databases {
		t.Run(name, func(t *testing.T) {
			c := beside(t, "bookmarks-"+name, store(t))
			c.bookmarks(t)
		})
	}
}

func (c *cluster) bookmarks(t *testing.T) {
	c.start(t)
	c.Do(t, "create", "namespace", "team")
	c.Apply(t, widgets)
	c.Established(t, "widgets.test.harikube.io")
	c.Apply(t, widget("first", "blue", 1))
	began := c.number(t, "first")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	// The store leaves out all events of the first watch; those of the second it sends, and the API server drops them.
	selectors := []url.Values{{"labelSelector": {"color=none"}}, {"fieldSelector": {"metadata.name!=second"}}}
	bookmarks := make([]<-chan bookmark, len(selectors))
	for i, selector := range selectors {
		bookmarks[i] = c.bookmark(t, ctx, selector, began)
	}
	c.Apply(t, widget("second", "blue", 2))
	last := c.number(t, "second")
	for i, next := range bookmarks {
		for changes := 0; next != nil; changes++ {
			select {
			case shown := <-next:
				if version, err := strconv.Atoi(shown.Object.Metadata.ResourceVersion); shown.Type != "BOOKMARK" || err != nil || version < last {
					t.Errorf("the watch %v shows %+v, not a bookmark from %d on", selectors[i], shown, last)
				}
				next = nil
			default:
				if ctx.Err() != nil {
					t.Fatalf("no bookmark has come to the watch %v in %d changes", selectors[i], changes)
				}
				c.Do(t, "-n", "team", "patch", "widget", "second", "--type=merge", "-p", fmt.Sprintf(`{"spec":{"size":%d}}`, changes))
			}
		}
	}
}

type bookmark struct {
	Type   string
	Object struct {
		Metadata struct{ ResourceVersion string }
	}
}

// number is the resource version of a widget.
func (c *cluster) number(t *testing.T, name string) int {
	t.Helper()
	version, err := strconv.Atoi(c.version(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// bookmark watches the widgets that a selector selects; the first that the watch shows comes in the channel.
func (c *cluster) bookmark(t *testing.T, ctx context.Context, selector url.Values, from int) <-chan bookmark {
	t.Helper()
	query := url.Values{"watch": {"true"}, "allowWatchBookmarks": {"true"}, "resourceVersion": {strconv.Itoa(from)}}
	for name, value := range selector {
		query[name] = value
	}
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
	t.Cleanup(func() { _ = answer.Body.Close() })
	shown := make(chan bookmark, 1)
	go func() {
		var event bookmark
		if json.NewDecoder(answer.Body).Decode(&event) == nil {
			shown <- event
		}
	}()
	return shown
}
