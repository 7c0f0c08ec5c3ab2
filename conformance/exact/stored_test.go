package exact

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/setting"
)

const encryption = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: [{aescbc: {keys: [{name: one, secret: %[1]s}]}}, {identity: {}}]
- resources: [widgets.filters.test]
  providers: [{secretbox: {keys: [{name: two, secret: %[1]s}]}}, {identity: {}}]
`

// The forms in which an API server stores an object, by how they begin.
const (
	asJSON      = "{"
	asProtobuf  = "k8s\x00"
	asCBOR      = "\xd9\xd9\xf7"
	asAESCBC    = "k8s:enc:aescbc:v1:one:"
	asSecretbox = "k8s:enc:secretbox:v1:two:"
)

// TestStored compares selectors on objects whatever the form they are stored in: what the store cannot
// read must come all the same.
func TestStored(t *testing.T) {
	all := newSystems(t)
	all.start(t)
	r := newRun(t, all, []*kind{secrets, secrets, widgets, widgets, gadgets, pods, events})
	r.prepare()
	r.change(150)
	r.contain("secrets/", asProtobuf)
	r.contain("filters.test/widgets/", asJSON)

	all.stop()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	config := filepath.Join(t.TempDir(), "encryption.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, encryption, base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	all.start(t, "--encryption-provider-config="+config, "--storage-media-type=application/json", "--feature-gates=CBORServingAndStorage=true")
	for range setting.Number(t, "HARIKUBE_EXACT_ROUNDS", 1) {
		r.round()
		if r.Failed() {
			return
		}
	}
	// Each touched since: in its new form only. Those that were not are in the history.
	r.contain("secrets/team-", asAESCBC)
	r.contain("filters.test/widgets/", asSecretbox)
	r.contain("filters.test/gadgets/", asCBOR)
	r.contain("pods/", asJSON)
	r.putByHand()
}

// contain checks that all systems store objects in a form, and that nothing else is below the prefix.
func (r *run) contain(prefix, form string) {
	r.Helper()
	for _, s := range r.systems {
		response, err := s.store(r.T).Get(r.Context(), "/registry/"+prefix, clientv3.WithPrefix())
		if err != nil {
			r.Fatal(err)
		}
		if len(response.Kvs) == 0 {
			r.Errorf("%s: there are no %s", s.name, prefix)
		}
		for _, kv := range response.Kvs {
			if !bytes.HasPrefix(kv.Value, []byte(form)) {
				r.Errorf("%s: %s begins with %.20q, not with %q", s.name, kv.Key, kv.Value, form)
			}
		}
	}
}

// byHand are custom objects as no API server writes them.
var byHand = []string{
	`{"unknown":{"a":[1]},"spec":{"color":"red","size":7,"more":null},"more":[{}]}`,
	`{"spec":{"color":"red"},"spec":{"color":"blue"}}`,
	`{"spec":{"color":"red","color":"blue"}}`,
	`{"Spec":{"color":"red"},"spec":{"Color":"red"}}`,
	`{"spec":{"color":5,"size":"7","lit":"true","shape":["round"]}}`,
	`{"spec":{"color":true,"size":7.5,"lit":1,"shape":{"a":"b"}}}`,
	`{"spec":{"color":null,"size":null,"lit":null,"shape":null}}`,
	`{"spec":{"size":1e3}}`, `{"spec":{"size":1.0}}`, `{"spec":{"size":-0}}`, `{"spec":{"size":-0.0}}`,
	`{"spec":{"size":9223372036854775808}}`, `{"spec":{"size":-9223372036854775809}}`, `{"spec":{"size":9007199254740993.0}}`,
	`{"spec":{"color":"gr\u00fcn","shape":"\ud83d\ude00"}}`, `{"spec":{"color":"\ud800"}}`, `{"spec":{"color":"\u0000?"}}`,
	`{"spec":null}`, `{"spec":[]}`, `{"spec":"red"}`, `{}`,
	` {"spec" : { "color" : "red" , "lit" : true } } `, "\n\t{\"spec\":{\"color\":\"\\u0072ed\"}}",
	`{"metadata":{"labels":null}}`, `{"metadata":{"labels":{}}}`, `{"metadata":{"labels":{"a":"1","a":"2"}}}`,
	`{"metadata":{"labels":{"a":"not allowed/"}}}`, `{"metadata":{"labels":{"n":"-5"}}}`, `{"metadata":{"labels":{"n":"+5"}}}`,
	`{"metadata":{"labels":{"a":1,"b":"2"}}}`, `{"metadata":{"labels":{"a":null}}}`, `{"metadata":{"labels":["a"]}}`, `{"metadata":{"labels":"a"}}`,
	`{"metadata":{"labels":{"a":"1"}},"metadata":{"annotations":{"x":"y"}}}`,
	`{"metadata":{"finalizers":"x","labels":{"a":"2"}}}`, `{"metadata":{"ownerReferences":[{"uid":5}],"labels":{"a":"2"}}}`,
	`{"metadata":{"generation":"x","labels":{"a":"2"}}}`, `{"metadata":{"deletionTimestamp":"never","labels":{"a":"2"}}}`,
	`{"apiVersion":"filters.test/v2","spec":{"color":"red","lit":true}}`, `{"apiVersion":"filters.test/v2","spec":{}}`,
}

// putByHand puts objects of its own into the stores, one at a time, and compares what comes of it. What Go
// cannot decode is not among them: on etcd it fails every list and watch, on HariKube only those whose
// selectors match what can be read of it.
func (r *run) putByHand() {
	r.Helper()
	r.kinds = []*kind{widgets}
	stores := make([]*clientv3.Client, len(r.systems))
	for i, s := range r.systems {
		stores[i] = s.store(r.T)
	}
	version := r.latest()
	for i, text := range byHand {
		name := fmt.Sprintf("hand-%d", i)
		key := "/registry/filters.test/widgets/" + namespaces[0] + "/" + name
		value := withIdentity(text, name)
		put := make([]string, len(stores))
		for i, store := range stores {
			response, err := store.Put(r.Context(), key, value)
			if err != nil {
				r.Fatal(err)
			}
			put[i] = fmt.Sprint(response.Header.Revision)
		}
		r.versions = append(r.versions, put)
		r.same(request{method: "GET", path: widgets.at(widgets.bases[0], namespaces[0]) + "/" + name})
		r.lists(5)
		for i, store := range stores {
			response, err := store.Delete(r.Context(), key)
			if err != nil {
				r.Fatal(err)
			}
			put[i] = fmt.Sprint(response.Header.Revision - 1)
		}
		if r.Failed() {
			r.Fatalf("with %s", value)
		}
	}
	var watches []*watch
	for range 10 {
		watches = append(watches, r.watchSince(version, ""))
	}
	r.finish(watches)
}

// withIdentity adds what every object has, where it does not say otherwise.
func withIdentity(text, name string) string {
	identity := fmt.Sprintf(`"name":%q,"namespace":%q,"uid":%[1]q,"creationTimestamp":"2026-01-01T00:00:00Z"`, name, namespaces[0])
	if at := strings.LastIndex(text, `"metadata":{`); at >= 0 {
		at += len(`"metadata":{`)
		text = text[:at] + identity + "," + text[at:]
	} else {
		text = insert(text, `"metadata":{`+identity+`}`)
	}
	if !strings.Contains(text, `"apiVersion"`) {
		text = insert(text, `"apiVersion":"filters.test/v1"`)
	}
	return insert(text, `"kind":"Widget"`)
}

// insert adds a member in front of the others.
func insert(object, member string) string {
	at := strings.Index(object, "{") + 1
	comma := ","
	if strings.TrimSpace(object[at:]) == "}" {
		comma = ""
	}
	return object[:at] + member + comma + object[at:]
}
