package exact

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"

	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
)

// The numbers of the fields that HariKube adds to etcd's messages.
const (
	rangeLabels = 14
	rangeFields = 15
	watchLabels = 9
	watchFields = 10
)

// unknown encodes fields that a message's Go type does not have.
func unknown(labelNumber protowire.Number, labels string, fieldNumber protowire.Number, fields string) []byte {
	var out []byte
	for number, text := range map[protowire.Number]string{labelNumber: labels, fieldNumber: fields} {
		if text != "" {
			out = protowire.AppendTag(out, number, protowire.BytesType)
			out = protowire.AppendString(out, text)
		}
	}
	return out
}

// TestWire sends selectors as they are on the wire, with etcd's own client.
func TestWire(t *testing.T) {
	for _, store := range []string{"etcd", "sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			w := wire{T: t, filters: store != "etcd", values: map[string]string{}}
			switch folder := t.TempDir(); store {
			case "etcd":
				w.connect(server.Etcd(t, bin, folder).Address)
			case "sqlite":
				w.connect(server.HariKube(t, bin, folder, (&url.URL{Scheme: "sqlite", Path: filepath.Join(folder, "harikube.db")}).String()).Address)
			case "postgres":
				endpoint, ok := postgres.DatabaseIfAny(t, bin)
				if !ok {
					t.Skip("NOT TESTED ON POSTGRESQL")
				}
				w.connect(server.HariKube(t, bin, folder, endpoint).Address)
			}
			w.ranges()
			w.watches()
		})
	}
}

// wire is a server and what was put into it.
type wire struct {
	*testing.T
	filters bool // not an etcd
	kv      etcdserverpb.KVClient
	watch   etcdserverpb.WatchClient
	values  map[string]string
}

func (w *wire) connect(address string) {
	client := server.Client(w.T, address)
	w.Cleanup(func() { _ = client.Close() })
	w.kv = etcdserverpb.NewKVClient(client.ActiveConnection())
	w.watch = etcdserverpb.NewWatchClient(client.ActiveConnection())
}

// put returns the revision.
func (w *wire) put(key, value string) int64 {
	w.Helper()
	response, err := w.kv.Put(w.Context(), &etcdserverpb.PutRequest{Key: []byte(key), Value: []byte(value)})
	if err != nil {
		w.Fatal(err)
	}
	w.values[key] = value
	return response.Header.Revision
}

func (w *wire) delete(key string) {
	w.Helper()
	if _, err := w.kv.DeleteRange(w.Context(), &etcdserverpb.DeleteRangeRequest{Key: []byte(key)}); err != nil {
		w.Fatal(err)
	}
	delete(w.values, key)
}

func pod(labels, node string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x","namespace":"n","labels":{%s}},"spec":{"nodeName":%q}}`, labels, node)
}

func widget(labels, color string) string {
	return fmt.Sprintf(`{"apiVersion":"filters.test/v1","kind":"Widget","metadata":{"name":"x","namespace":"n","labels":{%s}},"spec":{"color":%q,"size":5}}`, labels, color)
}

const (
	podPrefix    = "/registry/pods/n/"
	widgetPrefix = "/registry/filters.test/widgets/n/"
)

// unreadable are values that nobody but the API server may understand, if anybody.
var unreadable = map[string]string{
	"broken": `{"apiVersion":"filters.test/v1","kind":"Widget","metadata":{"name":"x","labels":{"a":`, "empty": "", "text": "text", "null": "null", "array": "[]",
	"cbor": asCBOR + "\xa1\x41a\x41b", "encrypted": asAESCBC + "\x00\xff", "protobuf": asProtobuf + "\x0a\xff\xff", "twice": `{}{}`, "number": `{"spec":{"size":1E400x}}`,
}

func (w *wire) ranges() {
	w.put("/registry/apiextensions.k8s.io/customresourcedefinitions/widgets.filters.test", widgetsDefinition)
	first := w.put(podPrefix+"a", pod(`"a":"1"`, "one"))
	w.put(podPrefix+"b", pod(`"a":"2"`, "one"))
	w.put(podPrefix+"c", pod(`"b":"1"`, "two"))
	old := w.put(podPrefix+"d", pod(`"a":"1","b":"2"`, ""))
	oldKeys := slices.Sorted(maps.Keys(w.values))
	w.put(podPrefix+"b", pod(`"a":"1"`, "two"))
	w.put(podPrefix+"e", `{"apiVersion":"v1","kind":"Pod","unknown":{},"metadata":{"unknown":1,"name":"x","labels":{"a":"1"}},"spec":{"nodeName":"one","unknown":[]},"more":[]}`)

	all := "a b c d e"
	for _, one := range []struct{ labels, fields, want string }{
		{"", "", all},
		{"a=1", "", "a b d e"}, {"a!=1", "", "c"}, {"a in (2,3)", "", ""}, {"!a", "", "c"}, {"a,b", "", "d"}, {"b>1", "", "d"}, {"b<2", "", "c"},
		{"", "spec.nodeName=two", "b c"}, {"", "spec.nodeName!=two", "a d e"}, {"", "spec.nodeName=", "d"},
		{"a=1", "spec.nodeName=one", "a e"}, {"!a", "spec.nodeName=one", ""},
		// What is not understood filters nothing: the client looks at everything once more.
		{"a in (", "", all}, {"", "=", all}, {"", "spec.unknown=1", all}, {"a in (", "spec.nodeName=two", "b c"},
	} {
		w.find(podPrefix, 0, one.labels, one.fields, w.expect(one.want, all))
	}
	w.find(podPrefix, first, "a=1", "", w.expect("a", "a"))
	w.find(podPrefix, old, "a=1", "", w.expect("a d", "a b c d"))
	w.find(podPrefix, old, "", "spec.nodeName=one", w.expect("a b", "a b c d"))
	if len(oldKeys) != 5 {
		w.Errorf("keys so far: %q", oldKeys)
	}
	w.pages()

	w.put(widgetPrefix+"a", widget(`"a":"1"`, "red"))
	w.put(widgetPrefix+"b", widget(`"a":"2"`, "blue"))
	if w.filters { // once the definition has been read
		w.until("spec.color=red filters", func() bool { return w.names(widgetPrefix, 0, "", "spec.color=red") == "a" })
	}
	names := slices.Sorted(maps.Keys(unreadable))
	for _, name := range names {
		w.put(widgetPrefix+"x-"+name, unreadable[name])
	}
	rest := " x-" + strings.Join(names, " x-")
	w.find(widgetPrefix, 0, "a=1", "", w.expect("a"+rest, "a b"+rest))
	w.find(widgetPrefix, 0, "a!=1", "", w.expect("b"+rest, "a b"+rest))
	w.find(widgetPrefix, 0, "", "spec.color=blue", w.expect("b"+rest, "a b"+rest))
	w.find(widgetPrefix, 0, "nobody", "spec.color=nothing", w.expect(strings.TrimSpace(rest), "a b"+rest))
}

// expect is what a server that filters finds, or else one that does not.
func (w *wire) expect(filtered, all string) string {
	if w.filters {
		return filtered
	}
	return all
}

func (w *wire) find(prefix string, revision int64, labels, fields, want string) {
	w.Helper()
	if got := w.names(prefix, revision, labels, fields); got != want {
		w.Errorf("%q, %q at %d: %q, not %q", labels, fields, revision, got, want)
	}
}

func (w *wire) names(prefix string, revision int64, labels, fields string) string {
	w.Helper()
	response := w.get(&etcdserverpb.RangeRequest{
		Key: []byte(prefix), RangeEnd: end(prefix), Revision: revision,
		XXX_unrecognized: unknown(rangeLabels, labels, rangeFields, fields),
	})
	var names []string
	for _, kv := range response.Kvs {
		name := strings.TrimPrefix(string(kv.Key), prefix)
		names = append(names, name)
		if revision == 0 && string(kv.Value) != w.values[string(kv.Key)] {
			w.Errorf("%s has the value %q", kv.Key, kv.Value)
		}
	}
	return strings.Join(names, " ")
}

func (w *wire) get(request *etcdserverpb.RangeRequest) *etcdserverpb.RangeResponse {
	w.Helper()
	response, err := w.kv.Range(w.Context(), request)
	if err != nil {
		w.Fatal(err)
	}
	return response
}

// pages reads page after page as an API server does.
func (w *wire) pages() {
	w.Helper()
	var names []string
	key, revision := []byte(podPrefix), int64(0)
	for {
		response := w.get(&etcdserverpb.RangeRequest{
			Key: key, RangeEnd: end(podPrefix), Limit: 1, Revision: revision, XXX_unrecognized: unknown(rangeLabels, "a=1", rangeFields, ""),
		})
		for _, kv := range response.Kvs {
			names = append(names, strings.TrimPrefix(string(kv.Key), podPrefix))
			key = append(kv.Key, 0)
		}
		if revision = response.Header.Revision; !response.More {
			break
		}
	}
	if got, want := strings.Join(names, " "), w.expect("a b d e", "a b c d e"); got != want {
		w.Errorf("in pages: %q, not %q", got, want)
	}
}

// end is behind all keys with a prefix that ends with a slash.
func end(prefix string) []byte { return []byte(strings.TrimSuffix(prefix, "/") + "0") }

func (w *wire) until(what string, condition func() bool) {
	w.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			w.Fatalf("%s: not within %s", what, within)
		}
	}
}

// step is a change, and the event that a watch for a=1 and the node "one" gets of it: "" is none.
type step struct{ key, value, want string }

var steps = []step{
	{"p", pod(`"a":"1"`, "one"), "PUT"},
	{"p", pod(`"a":"1","b":"1"`, "one"), "PUT"},
	{"p", pod(`"a":"2"`, "one"), "PUT"}, // left, by a label
	{"p", pod(`"a":"3"`, "one"), ""},
	{"p", pod(`"a":"1"`, "one"), "PUT"},
	{"p", pod(`"a":"1"`, "two"), "PUT"}, // left, by a field
	{"p", "", ""},
	{"q", pod(`"a":"1"`, "one"), "PUT"},
	{"q", "", "DELETE"},
	{"q", pod(`"b":"1"`, "one"), ""},
	{"q", unreadable["broken"], "PUT"}, // may be one
	{"q", pod(`"b":"1"`, "one"), "PUT"},
	{"q", "", ""},
	{"last", pod(`"a":"1"`, "one"), "PUT"},
}

func (w *wire) watches() {
	prefix := "/registry/pods/watched/"
	start := w.put(podPrefix+"z", pod("", "")) + 1
	live, before := w.open(prefix, start, true, watched), w.open(prefix, start, false, watched)
	w.created(w.open(prefix, start, true, "metadata.namespace=other"))
	w.created(w.open(prefix, start, true, "no selector"))
	var all, wanted []string
	for _, one := range steps {
		previous, kind := w.values[prefix+one.key], "PUT"
		if one.value == "" {
			kind = "DELETE"
			w.delete(prefix + one.key)
		} else {
			w.put(prefix+one.key, one.value)
		}
		event := fmt.Sprintf("%s %s %s before: %s", kind, one.key, one.value, previous)
		all = append(all, event)
		if one.want != "" {
			if one.want != kind {
				w.Fatalf("%+v", one)
			}
			wanted = append(wanted, event)
		}
	}
	if !w.filters {
		wanted = all
	}
	w.events("live", live, wanted)
	w.events("from the past", w.open(prefix, start, true, watched), wanted)
	var without []string
	for _, event := range wanted {
		without = append(without, event[:strings.Index(event, " before: ")]+" before: ")
	}
	w.events("without prev_kv", before, without)
}

// created checks that there is a watch, whatever it selects.
func (w *wire) created(stream etcdserverpb.Watch_WatchClient) {
	w.Helper()
	response, err := stream.Recv()
	if err != nil || !response.Created || response.Canceled {
		w.Errorf("%v, %v", response, err)
	}
}

const watched = "spec.nodeName=one"

// open starts a watch; the context ends it with the test.
func (w *wire) open(prefix string, start int64, previous bool, fields string) etcdserverpb.Watch_WatchClient {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), within)
	w.Cleanup(cancel)
	stream, err := w.watch.Watch(ctx)
	if err != nil {
		w.Fatal(err)
	}
	if err := stream.Send(&etcdserverpb.WatchRequest{RequestUnion: &etcdserverpb.WatchRequest_CreateRequest{
		CreateRequest: &etcdserverpb.WatchCreateRequest{
			Key: []byte(prefix), RangeEnd: end(prefix), StartRevision: start, PrevKv: previous,
			XXX_unrecognized: unknown(watchLabels, "a=1", watchFields, fields),
		},
	}}); err != nil {
		w.Fatal(err)
	}
	return stream
}

func (w *wire) events(what string, stream etcdserverpb.Watch_WatchClient, want []string) {
	w.Helper()
	var got []string
	for len(got) == 0 || !strings.Contains(got[len(got)-1], " last ") {
		response, err := stream.Recv()
		if err != nil {
			w.Fatalf("%s: after %q: %v", what, got, err)
		}
		for _, event := range response.Events {
			var previous []byte
			if event.PrevKv != nil {
				previous = event.PrevKv.Value
			}
			got = append(got, fmt.Sprintf("%s %s %s before: %s", event.Type, filepath.Base(string(event.Kv.Key)), event.Kv.Value, previous))
		}
	}
	if !slices.Equal(got, want) {
		w.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}
