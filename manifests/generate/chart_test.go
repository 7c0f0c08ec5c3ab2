package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
)

// packaged is the chart as Helm reads it from its archive.
func packaged(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.LoadArchive(bytes.NewReader(written(t)["chart/harikube-v0.0.0-dev.tgz"]))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestChartIsTheManifest: the chart, with the values of a manifest, is the manifest.
func TestChartIsTheManifest(t *testing.T) {
	c := packaged(t)
	if c.Metadata.Version != "0.0.0-dev" || c.Metadata.AppVersion != "v0.0.0-dev" {
		t.Errorf("its version is %s, %s", c.Metadata.Version, c.Metadata.AppVersion)
	}
	each(t, func(t *testing.T, m manifest) {
		objects, err := render(c, theRelease, "1.37", m.values(false))
		if err != nil {
			t.Fatal(err)
		}
		fromChart, err := toYAML(objects)
		if err != nil {
			t.Fatal(err)
		}
		fromManifest, err := toYAML(m.objects)
		if err != nil {
			t.Fatal(err)
		}
		if line, want, got := firstDifference(fromManifest, fromChart); line > 0 {
			t.Errorf("line %d is %q, in the manifest %q", line, got, want)
		}
	})
}

// TestChartElsewhere: a release of another name in another namespace has its own names everywhere.
func TestChartElsewhere(t *testing.T) {
	objects, err := render(packaged(t), release{"second", "team"}, "1.34", map[string]any{"monitoring": map[string]any{"enabled": true}})
	if err != nil {
		t.Fatal(err)
	}
	m := manifest{objects: objects}
	if kinds := countKinds(objects); kinds["Namespace"] != 0 || kinds["ServiceMonitor"] != 2 || kinds["PrometheusRule"] != 1 || kinds["ConfigMap"] != 1 {
		t.Errorf("it has %v", kinds)
	}
	for _, o := range objects {
		if o.text("metadata", "namespace") != "team" {
			t.Errorf("%s %s is in %q", o.kind(), o.text("metadata", "name"), o.text("metadata", "namespace"))
		}
		if name := o.text("metadata", "name"); !strings.Contains(name, "second") {
			t.Errorf("%s has the name %s", o.kind(), name)
		}
	}
	set := m.the(t, "StatefulSet", "second")
	if !selects(of(m.the(t, "Service", "second-metrics").at("spec", "selector")), of(set.at("spec", "template", "metadata", "labels"))) {
		t.Error("its metrics are not found")
	}
	if args := texts(named(of(set.at("spec", "template", "spec"))["containers"], "harikube")["args"]); argument(args, "name") != "team.second" {
		t.Errorf("its server is %v", args)
	}
	var config manifest
	for _, o := range objects {
		if o.kind() == "Secret" {
			o["metadata"].(map[string]any)["name"] = "vc-config-harikube"
			config.objects = append(config.objects, o)
		}
	}
	if names := texts(config.config(t).at("controlPlane", "proxy", "extraSANs")); !slices.Equal(names, []string{"second.team.svc", "second.team.svc.cluster.local"}) {
		t.Errorf("its certificate has %v", names)
	}
}

// TestChartValues: what the user says arrives, and a mistake is refused.
func TestChartValues(t *testing.T) {
	c := packaged(t)
	objects, err := render(c, theRelease, "1.37", map[string]any{
		"kubernetes":    "v1.36.3",
		"images":        map[string]any{"registry": "registry.example.com/mirror"},
		"database":      map[string]any{"type": "postgres", "secret": "theirs", "storageClassName": "fast", "storage": "2Gi"},
		"server":        map[string]any{"args": []any{"--debug"}, "env": []any{map[string]any{"name": "JDK_JAVA_OPTIONS", "value": "-Xmx600m"}}},
		"networkPolicy": map[string]any{"databasePorts": []any{6432}},
		"vcluster":      map[string]any{"controlPlane": map[string]any{"statefulSet": map[string]any{"scheduling": map[string]any{"priorityClassName": "high"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := manifest{objects: objects}
	pod := m.pod(t)
	server := named(pod["containers"], "harikube")
	if args := texts(server["args"]); args[len(args)-1] != "--debug" || named(server["env"], "JDK_JAVA_OPTIONS").text("value") != "-Xmx600m" {
		t.Errorf("the server is %v", server)
	}
	if named(pod["initContainers"], "kubernetes").text("image") != "registry.example.com/mirror/kubernetes:v1.36.3-v0.0.0-dev" || pod.text("priorityClassName") != "high" {
		t.Errorf("the pod is %v", pod)
	}
	claim := list(m.the(t, "StatefulSet", "harikube").at("spec", "volumeClaimTemplates"))[0]
	if claim.text("spec", "storageClassName") != "fast" || claim.text("spec", "resources", "requests", "storage") != "2Gi" {
		t.Errorf("the claim is %v", claim)
	}
	if !passes(m.the(t, "NetworkPolicy", "harikube").at("spec", "egress"), "TCP 6432", "") {
		t.Error("the pooler is not reached")
	}

	for what, values := range map[string]map[string]any{
		"a flavour":               {"flavour": "pods"},
		"a database":              {"database": map[string]any{"type": "mysql"}},
		"a name that is not one":  {"databas": map[string]any{}},
		"a name inside":           {"database": map[string]any{"endpoint": "postgres://"}},
		"a version":               {"kubernetes": "1.37"},
		"an argument":             {"server": map[string]any{"args": []any{"debug"}}},
		"a port":                  {"networkPolicy": map[string]any{"hostApiPorts": []any{0}}},
		"a value of vCluster":     {"vcluster": map[string]any{"controlPlane": map[string]any{"statefulset": map[string]any{}}}},
		"a type of vCluster's":    {"vcluster": map[string]any{"telemetry": map[string]any{"enabled": "no"}}},
		"a removed one of theirs": {"vcluster": map[string]any{"rbac": map[string]any{"enableVolumeSnapshotRules": map[string]any{"enabled": true}}}},
	} {
		if _, err := render(c, theRelease, "1.37", values); err == nil {
			t.Errorf("%s is taken: %v", what, values)
		}
	}
}

// TestChartAddsToLists: what the user adds to a list takes nothing of ours away.
func TestChartAddsToLists(t *testing.T) {
	values := map[string]any{"vcluster": map[string]any{"controlPlane": map[string]any{
		"distro": map[string]any{"k8s": map[string]any{"apiServer": map[string]any{"extraArgs": []any{"--v=4"}}}},
		"proxy":  map[string]any{"extraSANs": []any{"kubernetes.example.com"}},
		"statefulSet": map[string]any{
			"env":               []any{map[string]any{"name": "DEBUG", "value": "true"}},
			"sidecarContainers": []any{map[string]any{"name": "other", "image": "example.com/other:1"}},
		},
	}}}
	c := packaged(t)
	for range 2 { // the second time, too: nothing is changed in what the user gave
		objects, err := render(c, theRelease, "1.37", values)
		if err != nil {
			t.Fatal(err)
		}
		m := manifest{objects: objects}
		control := of(m.config(t).at("controlPlane"))
		args := texts(control.at("distro", "k8s", "apiServer", "extraArgs"))
		if len(args) < 4 || args[0] != "--watch-cache=false" || args[len(args)-1] != "--v=4" {
			t.Errorf("the API server has %v", args)
		}
		if names := texts(control.at("proxy", "extraSANs")); len(names) != 3 || names[2] != "kubernetes.example.com" {
			t.Errorf("the certificate has %v", names)
		}
		pod := m.pod(t)
		if len(list(pod["containers"])) != 3 || named(pod["containers"], "harikube") == nil || named(pod["containers"], "other") == nil {
			t.Errorf("the containers are %v", pod["containers"])
		}
		if named(named(pod["containers"], "syncer")["env"], "DEBUG") == nil {
			t.Error("the syncer lacks the user's variable")
		}
	}
}

// TestChartGivesRightsForWhatIsAskedOfVCluster: what the user's values have it do beyond ours, it may do.
func TestChartGivesRightsForWhatIsAskedOfVCluster(t *testing.T) {
	on := map[string]any{"enabled": true}
	rules := func(t *testing.T, kind string, values map[string]any) string {
		t.Helper()
		objects, err := render(packaged(t), theRelease, "1.37", map[string]any{"vcluster": values})
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, o := range objects {
			if o.kind() == kind {
				text += fmt.Sprint(o["rules"])
			}
		}
		return text
	}
	ours := rules(t, "Role", map[string]any{"experimental": map[string]any{"syncSettings": map[string]any{"setOwner": false}}, "controlPlane": map[string]any{"statefulSet": map[string]any{"scheduling": map[string]any{"priorityClassName": "high"}}}})
	if ours == "" || ours != rules(t, "Role", map[string]any{}) || rules(t, "ClusterRole", map[string]any{}) != "" {
		t.Errorf("without need it has the rights %s", ours)
	}
	ingresses := rules(t, "Role", map[string]any{"sync": map[string]any{"toHost": map[string]any{"ingresses": on}}})
	for _, resource := range []string{"ingresses", "secrets", "pods/exec", "endpointslices"} {
		if !strings.Contains(ingresses, resource) {
			t.Errorf("with ingresses it may nothing with %s: %s", resource, ingresses)
		}
	}
	if nodes := rules(t, "ClusterRole", map[string]any{"sync": map[string]any{"fromHost": map[string]any{"nodes": on}}}); !strings.Contains(nodes, "nodes") {
		t.Errorf("with the host's nodes it has the rights %q there", nodes)
	}
	own := []any{map[string]any{"apiGroups": []any{"example.com"}, "resources": []any{"things"}, "verbs": []any{"get"}}}
	if extra := rules(t, "Role", map[string]any{"rbac": map[string]any{"role": map[string]any{"extraRules": own}}}); !strings.Contains(extra, "things") {
		t.Errorf("the user's own rules are not among %s", extra)
	}
}

// TestChartCanRefusePrivilegedPods: vCluster has a value for it, which reaches its configuration.
func TestChartCanRefusePrivilegedPods(t *testing.T) {
	values := map[string]any{"vcluster": map[string]any{"policies": map[string]any{"podSecurityStandard": "baseline"}}}
	objects, err := render(packaged(t), theRelease, "1.37", values)
	if err != nil {
		t.Fatal(err)
	}
	m := manifest{objects: objects}
	if standard := m.config(t).at("policies", "podSecurityStandard"); standard != "baseline" {
		t.Errorf("pods of the virtual cluster keep to %v", standard)
	}
}

// TestChartHasWhatItNeeds: no file is missing in the archive, and the licence of what is not ours is in it.
func TestChartHasWhatItNeeds(t *testing.T) {
	c := packaged(t)
	names := map[string]bool{}
	for _, file := range slices.Concat(c.Templates, c.Files) {
		names[file.Name] = true
	}
	for _, name := range []string{"templates/NOTES.txt", "templates/vcluster/_rbac.tpl", "vcluster/LICENSE", "vcluster/values.yaml",
		"vcluster/templates/statefulset.yaml", "vcluster.yaml", "monitoring/alerts.yaml", "monitoring/dashboard.json"} {
		if !names[name] {
			t.Errorf("%s is not in %v", name, slices.Sorted(maps.Keys(names)))
		}
	}
	if len(c.Schema) == 0 {
		t.Error("it has no schema")
	}
}
