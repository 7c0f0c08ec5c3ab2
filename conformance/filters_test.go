package conformance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const widgetDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.filters.test}
spec:
  group: filters.test
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              color: {type: string}
              size: {type: integer}
              lit: {type: boolean}
              shape: {type: string, default: round}
    selectableFields:
    - jsonPath: .spec.color
    - jsonPath: .spec.size
    - jsonPath: .spec.lit
    - jsonPath: .spec.shape
`

// object is what selectors look at.
type object struct {
	name   string
	labels map[string]string
	fields map[string]string
}

// term is one requirement of a selector, as text and as what it means.
type term struct {
	text    string
	matches func(o object) bool
}

var (
	labelNames  = []string{"a", "b", "example.com/c"}
	labelValues = []string{"", "1", "2", "10", "x.y_z-1"}
	colors      = []string{"", "red", "blue", "a,b=c\\d", "grün"}
)

func pick(values []string) string { return values[rand.IntN(len(values))] }

func labelTerm() term {
	name, one, two := pick(labelNames), pick(labelValues), pick(labelValues)
	switch rand.IntN(7) {
	case 0:
		return term{name + "=" + one, func(o object) bool { v, ok := o.labels[name]; return ok && v == one }}
	case 1:
		return term{name + "!=" + one, func(o object) bool { v, ok := o.labels[name]; return !ok || v != one }}
	case 2:
		return term{fmt.Sprintf("%s in (%s,%s)", name, one, two), func(o object) bool {
			v, ok := o.labels[name]
			return ok && (v == one || v == two)
		}}
	case 3:
		return term{fmt.Sprintf("%s notin (%s,%s)", name, one, two), func(o object) bool {
			v, ok := o.labels[name]
			return !ok || (v != one && v != two)
		}}
	case 4:
		return term{name, func(o object) bool { _, ok := o.labels[name]; return ok }}
	case 5:
		return term{"!" + name, func(o object) bool { _, ok := o.labels[name]; return !ok }}
	default:
		return term{name + ">1", func(o object) bool {
			n, err := strconv.ParseInt(o.labels[name], 10, 64)
			return err == nil && n > 1
		}}
	}
}

func fieldTerm(values map[string][]string) term {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	name := pick(names)
	value := pick(values[name])
	escaped := strings.NewReplacer(`\`, `\\`, `,`, `\,`, `=`, `\=`).Replace(value)
	if rand.IntN(2) == 0 {
		return term{name + "=" + escaped, func(o object) bool { return o.fields[name] == value }}
	}
	return term{name + "!=" + escaped, func(o object) bool { return o.fields[name] != value }}
}

func randomLabels() map[string]string {
	labels := map[string]string{}
	for _, name := range labelNames {
		if rand.IntN(2) == 0 {
			labels[name] = pick(labelValues)
		}
	}
	return labels
}

// TestSelectors lists with random selectors, whole and in pages, and compares with what was created.
func TestSelectors(t *testing.T) {
	for name, store := range databases {
		t.Run(name, func(t *testing.T) {
			c := beside(t, "selectors-"+name, store(t))
			c.start(t)
			c.Apply(t, widgetDefinition)
			c.Established(t, "widgets.filters.test")
			widgets, secrets := c.createObjects(t)
			c.compare(t, "/apis/filters.test/v1/widgets", widgets, map[string][]string{
				"spec.color": colors, "spec.size": {"", "1", "-5", "9007199254740993"}, "spec.lit": {"true", "false", ""},
				"spec.shape": {"round", "square", ""}, "metadata.namespace": {"default", "kube-system"},
			})
			c.fetchSelected(t, "/apis/filters.test/v1/widgets")
			c.compare(t, "/api/v1/namespaces/default/secrets", secrets, map[string][]string{
				"type": {"Opaque", "filters.test/kind", "none"}, "metadata.name": {"s-1", "s-2"},
			})
		})
	}
}

func (c *cluster) createObjects(t *testing.T) (widgets, secrets []object) {
	t.Helper()
	var manifest strings.Builder
	encode := func(content map[string]any) {
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		manifest.WriteString(string(text) + "\n---\n")
	}
	for i := range 120 {
		o := object{name: fmt.Sprintf("w-%d", i), labels: randomLabels(), fields: map[string]string{"metadata.namespace": "default"}}
		spec := map[string]any{}
		if color := pick(colors); color != "" {
			spec["color"], o.fields["spec.color"] = color, color
		}
		if size := pick([]string{"", "1", "-5", "9007199254740993"}); size != "" {
			spec["size"], o.fields["spec.size"] = json.Number(size), size
		}
		if on := pick([]string{"", "true", "false"}); on != "" {
			spec["lit"], o.fields["spec.lit"] = on == "true", on
		}
		o.fields["spec.shape"] = "round"
		if shape := pick([]string{"", "square", "round"}); shape != "" {
			spec["shape"], o.fields["spec.shape"] = shape, shape
		}
		encode(map[string]any{
			"apiVersion": "filters.test/v1", "kind": "Widget", "spec": spec,
			"metadata": map[string]any{"name": o.name, "namespace": "default", "labels": o.labels},
		})
		widgets = append(widgets, o)
	}
	for i := range 40 {
		kind := pick([]string{"Opaque", "filters.test/kind"})
		o := object{name: fmt.Sprintf("s-%d", i), labels: randomLabels(), fields: map[string]string{"type": kind}}
		o.fields["metadata.name"] = o.name
		encode(map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": kind,
			"metadata": map[string]any{"name": o.name, "namespace": "default", "labels": o.labels},
		})
		secrets = append(secrets, o)
	}
	c.Apply(t, manifest.String())
	return widgets, secrets
}

func (c *cluster) compare(t *testing.T, path string, all []object, fields map[string][]string) {
	t.Helper()
	for range 40 {
		var labels, selected []term
		for range rand.IntN(3) {
			labels = append(labels, labelTerm())
		}
		for range rand.IntN(3) {
			selected = append(selected, fieldTerm(fields))
		}
		var want []string
		for _, o := range all {
			if !slices.ContainsFunc(slices.Concat(labels, selected), func(one term) bool { return !one.matches(o) }) {
				want = append(want, o.name)
			}
		}
		slices.Sort(want)
		query := url.Values{}
		if len(labels) > 0 {
			query.Set("labelSelector", texts(labels))
		}
		if len(selected) > 0 {
			query.Set("fieldSelector", texts(selected))
		}
		limit := rand.IntN(3) * 7
		if strings.Contains(query.Get("fieldSelector"), "metadata.namespace=") {
			limit = 0 // Kubernetes itself loses the second page of it, on any store
		}
		if got := c.list(t, path, query, limit); !slices.Equal(got, want) {
			t.Errorf("%s?%v in pages of %d:\n got %v\nwant %v", path, query, limit, got, want)
		}
	}
}

// fetchSelected has the API server get from the store what a selector selects, and no more, in whole lists and in pages.
func (c *cluster) fetchSelected(t *testing.T, path string) {
	t.Helper()
	for _, query := range []url.Values{
		{"labelSelector": {"a=1"}}, {"labelSelector": {"a=1"}, "resourceVersion": {"0"}}, {"labelSelector": {"b in (1,2),!a"}, "limit": {"3"}},
		{"fieldSelector": {"spec.color=red"}}, {"fieldSelector": {"spec.color=red"}, "limit": {"3"}},
	} {
		before := c.lists(t, "widgets")
		limit, _ := strconv.Atoi(query.Get("limit"))
		names := c.list(t, path, query, limit)
		after := c.lists(t, "widgets")
		if fetched, returned := after.fetched-before.fetched, after.returned-before.returned; fetched != returned || returned < float64(len(names)) {
			t.Errorf("%v: of %v objects that were got from the store %v were returned; the list has %d", query, fetched, returned, len(names))
		}
	}
}

// listed is how many lists there were, how many objects they have got from the store, and how many they have returned.
type listed struct{ lists, fetched, returned float64 }

// lists counts the lists of a resource.
func (c *cluster) lists(t *testing.T, resource string) listed {
	t.Helper()
	metrics, of := c.Do(t, "get", "--raw", "/metrics"), `resource="`+resource
	return listed{
		lists:    sumOf(t, metrics, "apiserver_storage_list_total", of),
		fetched:  sumOf(t, metrics, "apiserver_storage_list_fetched_objects_total", of),
		returned: sumOf(t, metrics, "apiserver_storage_list_returned_objects_total", of),
	}
}

func texts(terms []term) string {
	var all []string
	for _, one := range terms {
		all = append(all, one.text)
	}
	return strings.Join(all, ",")
}

// list returns the names of the objects, sorted; a limit of 0 is none.
func (c *cluster) list(t *testing.T, path string, query url.Values, limit int) []string {
	t.Helper()
	var names []string
	for {
		if limit > 0 {
			query.Set("limit", strconv.Itoa(limit))
		}
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			} `json:"items"`
		}
		text := c.Do(t, "get", "--raw", path+"?"+query.Encode())
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		for _, item := range page.Items {
			names = append(names, item.Metadata.Name)
		}
		if page.Metadata.Continue == "" {
			slices.Sort(names)
			return names
		}
		query.Set("continue", page.Metadata.Continue)
	}
}
