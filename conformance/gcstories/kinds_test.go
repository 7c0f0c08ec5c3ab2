package gcstories

import (
	"encoding/json"
	"fmt"
	"strings"
)

// kind is a resource whose objects have parts in stories.
type kind struct {
	name, plural string
	group        string
	served       []string // versions; requests go to the first
	unserved     string   // a version that is defined, and that nobody can ask for; "" if there is none
	namespaced   bool
	spec         map[string]any // what an object must have
}

const group = "stories.test"

var (
	reds       = &kind{name: "Red", plural: "reds", group: group, served: []string{"v1", "v2"}, unserved: "v0", namespaced: true}
	blues      = &kind{name: "Blue", plural: "blues", group: group, served: []string{"v1"}, namespaced: true}
	zones      = &kind{name: "Zone", plural: "zones", group: group, served: []string{"v1"}}
	configMaps = &kind{name: "ConfigMap", plural: "configmaps", served: []string{"v1"}, namespaced: true}
	// Those HariKube does not delete: that is more than to take them away.
	services = &kind{
		name: "Service", plural: "services", served: []string{"v1"}, namespaced: true, spec: map[string]any{"clusterIP": "None"},
	}

	// everywhere are the kinds of all stories.
	everywhere = []*kind{reds, blues, zones, configMaps, services}

	// unheardOf is only in references.
	unheardOf = &kind{name: "Ghost", plural: "ghosts", group: "unheard-of." + group, unserved: "v1", namespaced: true}
)

// ownKind is the kind of one story, whose definition it may delete.
func ownKind(story string) *kind {
	return &kind{name: "Own", plural: "owns", group: story + "." + group, served: []string{"v1"}, namespaced: true}
}

// isCustom says whether the label hides the objects from kube-controller-manager: built-in kinds it always sees.
func (k *kind) isCustom() bool { return k.group != "" }

func (k *kind) apiVersion(version string) string {
	if k.group == "" {
		return version
	}
	return k.group + "/" + version
}

// folder is the path of its objects: all of them without a namespace.
func (k *kind) folder(namespace string) string {
	base := "/apis/"
	if k.group == "" {
		base = "/api/"
	}
	base += k.apiVersion(k.served[0])
	if namespace != "" {
		base += "/namespaces/" + namespace
	}
	return base + "/" + k.plural
}

func (k *kind) definitionName() string { return k.plural + "." + k.group }

// definition is a CustomResourceDefinition.
func (k *kind) definition() map[string]any {
	var versions []any
	add := func(version string, served bool) {
		versions = append(versions, map[string]any{
			"name": version, "served": served, "storage": len(versions) == 0,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
		})
	}
	for _, version := range k.served {
		add(version, true)
	}
	if k.unserved != "" {
		add(k.unserved, false)
	}
	scope := "Cluster"
	if k.namespaced {
		scope = "Namespaced"
	}
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": k.definitionName()},
		"spec": map[string]any{
			"group": k.group, "scope": scope, "versions": versions,
			"names": map[string]any{"plural": k.plural, "singular": strings.ToLower(k.name), "kind": k.name},
		},
	}
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("%v: %v", value, err))
	}
	return text
}
