package main

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

// object is one of Kubernetes.
type object map[string]any

func (o object) kind() string { return o.text("kind") }

// at returns what is there, or nil.
func (o object) at(keys ...string) any {
	var value any = map[string]any(o)
	for _, key := range keys {
		inner, _ := value.(map[string]any)
		value = inner[key]
	}
	return value
}

func (o object) text(keys ...string) string {
	text, _ := o.at(keys...).(string)
	return text
}

// release is a name and a namespace.
type release struct{ name, namespace string }

// render returns the objects of the chart with some values, in the order in which they are made.
func render(c *chart.Chart, of release, kubernetes string, values map[string]any) ([]object, error) {
	version, err := common.ParseKubeVersion(kubernetes)
	if err != nil {
		return nil, err
	}
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: of.name, Namespace: of.namespace, IsInstall: true}, capabilities)
	if err != nil {
		return nil, err
	}
	rendered, err := engine.Engine{}.Render(c, all)
	if err != nil {
		return nil, err
	}
	var objects []object
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		for _, document := range strings.Split("\n"+rendered[name], "\n---") {
			var o object
			if err := yaml.Unmarshal([]byte(document), &o); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, document)
			}
			if len(o) > 0 {
				objects = append(objects, o)
			}
		}
	}
	slices.SortStableFunc(objects, func(a, b object) int { return order(a) - order(b) })
	return objects, nil
}

// order is that of `helm install`, as far as we have its kinds: the pod comes last, when all it needs is there.
func order(o object) int {
	kinds := []string{"Namespace", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Secret", "ConfigMap", "Role",
		"RoleBinding", "Service", "StatefulSet"}
	if i := slices.Index(kinds, o.kind()); i >= 0 {
		return i
	}
	return len(kinds)
}
