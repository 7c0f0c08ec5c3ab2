package conformance

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"harikube.io/conformance/kubectl"
	"harikube.io/controlplane"
)

// manifests is where `make manifests` puts them.
var manifests = filepath.Join(build, "manifests")

// TestManifests applies everything that a user applies to a host. There is no node: the pods are made, admitted, and stay
// pending.
func TestManifests(t *testing.T) {
	c := beside(t, "manifests", controlplane.HariKube{})
	c.start(t)
	t.Log(c.Do(t, "version"))
	// What is applied inside a virtual cluster must not stand in the way of another one in it.
	c.Do(t, "apply", "-f", filepath.Join(manifests, skipCaching+".yaml"))
	c.Do(t, "apply", "-f", filepath.Join(manifests, "workload-low.yaml"))
	// Where everything that is not restricted is refused.
	c.Apply(t, `{apiVersion: v1, kind: Namespace, metadata: {name: strict, labels: {pod-security.kubernetes.io/enforce: restricted}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: vc-harikube, namespace: strict}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: harikube-postgres, namespace: strict}}
`)
	for _, database := range []string{"sqlite", "postgres"} {
		for _, flavour := range []string{"workload", "api"} {
			m := manifest{c, database, flavour}
			t.Run(database+" "+flavour, m.lifetime)
		}
	}
	t.Run("kustomize", c.kustomize)
}

// manifest is one of the four.
type manifest struct {
	cluster
	database, flavour string
}

func (m manifest) file(t *testing.T) string {
	t.Helper()
	name := m.database
	if m.flavour != "workload" {
		name += "-" + m.flavour
	}
	return theFile(t, "vcluster-harikube-"+name+"-release-v*.yaml")
}

func theFile(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(manifests, pattern))
	if err != nil || len(files) != 1 {
		t.Fatalf("there is not one %s: %v, %v", pattern, files, err)
	}
	return files[0]
}

// lifetime applies the manifest in every way, looks at what is made of it, and takes it away.
func (m manifest) lifetime(t *testing.T) {
	file := m.file(t)
	// All that is wrong, the API server says before anything is made; but it wants the namespace.
	if refused := m.Fails(t, "apply", "--dry-run=server", "-f", file); !strings.Contains(refused, `namespaces "harikube" not found`) {
		t.Errorf("a dry run without the namespace: %s", refused)
	}
	m.Do(t, "create", "namespace", "harikube")
	m.Do(t, "apply", "--warnings-as-errors", "--dry-run=server", "-f", file)
	m.Do(t, "apply", "--warnings-as-errors", "--server-side", "--dry-run=server", "-f", file)
	if made := m.Do(t, "-n", "harikube", "get", "statefulsets,roles,poddisruptionbudgets", "-o", "name"); made != "" {
		t.Errorf("a dry run has made %s", made)
	}

	m.Do(t, "apply", "--warnings-as-errors", "--server-side", "--force-conflicts", "-f", file)
	first := m.versions(t, file)
	m.Do(t, "apply", "--warnings-as-errors", "--server-side", "-f", file)
	if second := m.versions(t, file); !maps.Equal(first, second) {
		t.Errorf("applied again by server-side apply, there are %v, and were %v", second, first)
	}
	m.Do(t, "apply", "--warnings-as-errors", "-f", file)
	first = m.versions(t, file)
	m.Do(t, "apply", "--warnings-as-errors", "-f", file)
	if second := m.versions(t, file); !maps.Equal(first, second) {
		t.Errorf("applied again, there are %v, and were %v", second, first)
	}
	m.Until(t, kubectl.Is("harikube-0"), "-n", "harikube", "get", "pods", "-l", "app=vcluster,release=harikube", "-o", "jsonpath={.items[*].metadata.name}")

	t.Run("pod security", m.podSecurity)
	t.Run("rights", m.rights)
	t.Run("budget", m.budget)
	t.Run("configuration", m.configuration)
	t.Run("edit", m.edit)
	if m.database == "postgres" {
		t.Run("PostgreSQL to try", m.tryPostgres)
	}

	m.Do(t, "delete", "--wait=false", "-f", file)
	m.Until(t, kubectl.Is(""), "-n", "harikube", "get", "statefulsets,pods", "-o", "name")
	nothingIsLeft(t, m.Kubectl)
}

// nothingIsLeft of what was applied, when the namespace has gone.
func nothingIsLeft(t *testing.T, k kubectl.Kubectl) {
	t.Helper()
	k.Until(t, func(names string) bool { return !strings.Contains(names, "harikube") }, "get", "namespaces", "-o", "name")
	for _, kind := range []string{"clusterroles", "clusterrolebindings", "persistentvolumes"} {
		if left := k.Do(t, "get", kind, "-o", "name"); strings.Contains(left, "harikube") {
			t.Errorf("there is left %s", left)
		}
	}
}

// editor is a program in a folder that makes one argument of a container's list these.
func editor(t *testing.T, folder, old string, lines []string) string {
	t.Helper()
	file := filepath.Join(folder, "editor")
	script := fmt.Sprintf("#!/bin/sh\nexec sed -i 's#^\\( *- \\)%s$#%s#' \"$1\"\n", old, `\1`+strings.Join(lines, `\n\1`))
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// versions are the resource versions of what is in the file.
func (m manifest) versions(t *testing.T, file string) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for line := range strings.Lines(m.Do(t, "get", "-f", file, "-o",
		`jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.generation} {.metadata.resourceVersion}{"\n"}{end}`)) {
		fields := strings.Fields(line)
		// Their controllers write their status.
		if fields[0] == "Namespace" || fields[0] == "StatefulSet" || fields[0] == "PodDisruptionBudget" {
			fields = fields[:len(fields)-1]
		}
		versions[fields[0]+" "+fields[1]] = strings.Join(fields[2:], " ")
	}
	if len(versions) < 10 {
		t.Fatalf("only %v are found", versions)
	}
	return versions
}

// podOf is a Pod by the template of a StatefulSet, in the strict namespace.
func (m manifest) podOf(t *testing.T, set string, change func(spec map[string]any)) string {
	t.Helper()
	var found struct {
		Spec struct {
			Template             struct{ Spec map[string]any }
			VolumeClaimTemplates []struct{ Metadata struct{ Name string } }
		}
	}
	if err := json.Unmarshal([]byte(m.Do(t, "-n", "harikube", "get", "statefulset", set, "-o", "json")), &found); err != nil {
		t.Fatal(err)
	}
	spec := found.Spec.Template.Spec
	for _, claim := range found.Spec.VolumeClaimTemplates {
		spec["volumes"] = append(spec["volumes"].([]any), map[string]any{
			"name": claim.Metadata.Name, "persistentVolumeClaim": map[string]any{"claimName": claim.Metadata.Name},
		})
	}
	change(spec)
	pod, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": set, "namespace": "strict"}, "spec": spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m.cluster.file(t, string(pod))
}

// podSecurity has the API server judge the pod: as it is, and with what it forbids.
func (m manifest) podSecurity(t *testing.T) {
	unchanged := func(map[string]any) {}
	m.Do(t, "create", "--warnings-as-errors", "-f", m.podOf(t, "harikube", unchanged))
	m.Do(t, "-n", "strict", "delete", "pod", "harikube", "--grace-period=0", "--force", "--wait=false")
	m.Until(t, kubectl.Is(""), "-n", "strict", "get", "pods", "-o", "name")
	for what, change := range map[string]func(map[string]any){
		"root": func(spec map[string]any) { spec["securityContext"].(map[string]any)["runAsNonRoot"] = false },
		"host's network": func(spec map[string]any) {
			spec["hostNetwork"] = true
			for _, container := range spec["containers"].([]any) {
				delete(container.(map[string]any), "ports")
			}
		},
		"capabilities": func(spec map[string]any) {
			delete(spec["containers"].([]any)[0].(map[string]any)["securityContext"].(map[string]any), "capabilities")
		},
	} {
		if refused := m.Fails(t, "create", "--dry-run=server", "-f", m.podOf(t, "harikube", change)); !strings.Contains(refused, `violates PodSecurity "restricted`) {
			t.Errorf("with %s: %s", what, refused)
		}
	}

	// A pod as users write it. Theirs come to this namespace, unless there are none.
	plain := m.cluster.file(t, `{apiVersion: v1, kind: Pod, metadata: {name: plain, namespace: harikube},
		spec: {containers: [{name: plain, image: "example.com/plain:1"}]}}`)
	if m.flavour == "api" {
		if refused := m.Fails(t, "create", "--dry-run=server", "-f", plain); !strings.Contains(refused, `violates PodSecurity "restricted`) {
			t.Errorf("a pod that is not restricted: %s", refused)
		}
	} else {
		m.Do(t, "create", "--dry-run=server", "-f", plain)
		if warned := m.Fails(t, "create", "--warnings-as-errors", "--dry-run=server", "-f", plain); !strings.Contains(warned, "would violate PodSecurity") &&
			!strings.Contains(warned, "warning") {
			t.Errorf("a pod that is not restricted: %s", warned)
		}
	}
}

// rights asks the API server what the accounts may do.
func (m manifest) rights(t *testing.T) {
	pods := "no"
	if m.flavour == "workload" {
		pods = "yes"
	}
	for _, ask := range []struct{ account, want, what string }{
		{"vc-harikube", "yes", "create secrets"},
		{"vc-harikube", "yes", "delete services"},
		{"vc-harikube", "yes", "watch endpointslices.discovery.k8s.io"},
		{"vc-harikube", "yes", "watch persistentvolumeclaims"},
		{"vc-harikube", "yes", "patch statefulsets.apps/harikube"},
		{"vc-harikube", "no", "patch statefulsets.apps/other"},
		{"vc-harikube", "no", "delete statefulsets.apps/harikube"},
		{"vc-harikube", "no", "create roles.rbac.authorization.k8s.io"},
		{"vc-harikube", "no", "create serviceaccounts/token"},
		{"vc-harikube", "no", "impersonate serviceaccounts"},
		{"vc-harikube", pods, "create pods"},
		{"vc-harikube", pods, "create pods/exec"},
		{"vc-harikube", pods, "get pods/log"},
		{"vc-workload-harikube", "no", "get pods"},
		{"vc-workload-harikube", "no", "list secrets"},
	} {
		verb, resource, _ := strings.Cut(ask.what, " ")
		resource, subresource, has := strings.Cut(resource, "/")
		args := []string{"-n", "harikube", "auth", "can-i", verb, resource, "--as=system:serviceaccount:harikube:" + ask.account}
		if has && strings.HasPrefix(resource, "statefulsets") {
			args[5] += "/" + subresource
		} else if has {
			args = append(args, "--subresource="+subresource)
		}
		m.can(t, ask.want, args...)
	}
	for _, other := range []string{"-n=default", "-A"} {
		m.can(t, "no", "auth", "can-i", "get", "secrets", "--as=system:serviceaccount:harikube:vc-harikube", other)
	}
}

// can checks the answer of `kubectl auth can-i`, which fails when it is no; of an error it says something.
func (m manifest) can(t *testing.T, want string, args ...string) {
	t.Helper()
	if want == "yes" {
		if got := m.Do(t, args...); got != "yes" {
			t.Errorf("%v: %s", args, got)
		}
		return
	}
	if message := m.Fails(t, args...); !strings.HasSuffix(strings.TrimSpace(message), "exit status 1:") {
		t.Errorf("%v: %s", args, message)
	}
}

// budget checks that the PodDisruptionBudget is one of the pod.
func (m manifest) budget(t *testing.T) {
	m.Until(t, kubectl.Is("1"), "-n", "harikube", "get", "poddisruptionbudget", "harikube", "-o", "jsonpath={.status.expectedPods}")
	m.Until(t, kubectl.Is("5Gi"), "-n", "harikube", "get", "persistentvolumeclaim", "database-harikube-0", "-o", "jsonpath={.spec.resources.requests.storage}")
}

// configuration is what vCluster will read.
func (m manifest) configuration(t *testing.T) {
	encoded := m.Do(t, "-n", "harikube", "get", "secret", "vc-config-harikube", "-o", `jsonpath={.data.config\.yaml}`)
	config, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"      endpoint: 127.0.0.1:2379", "      - harikube.harikube.svc", "telemetry:\n  enabled: false"} {
		if !strings.Contains(string(config), strings.TrimLeft(line, " ")) {
			t.Errorf("%q is not in the configuration:\n%s", line, config)
		}
	}
	for _, flag := range controlplane.OnHariKube {
		if !strings.Contains(string(config), "- "+flag+"\n") {
			t.Errorf("kube-apiserver has not %s, which `make run` gives it:\n%s", flag, config)
		}
	}
}

// edit changes the database as a user does, with `kubectl edit`; the pod follows.
func (m manifest) edit(t *testing.T) {
	before := m.Do(t, "-n", "harikube", "get", "statefulset", "harikube", "-o", `jsonpath={.spec.template.spec.containers[?(@.name=="harikube")].args}`)
	// What is written into an editor: the lines of the other flavour, and the one for a store that is not the last one.
	lines := map[string][]string{
		"sqlite":   {"--endpoint-file=/database/endpoint", "--datastore-password-file=/database/password", "--accept-store"},
		"postgres": {"--endpoint=postgres://harikube@elsewhere:5432/harikube"},
	}[m.database]
	old := map[string]string{"sqlite": "--endpoint=sqlite:///data/state.db", "postgres": "--endpoint-file=/database/endpoint"}[m.database]
	if !strings.Contains(before, old) {
		t.Fatalf("the arguments are %s", before)
	}
	m.With("KUBE_EDITOR="+editor(t, t.TempDir(), old, lines)).Do(t, "-n", "harikube", "edit", "statefulset", "harikube")
	m.Until(t, func(args string) bool {
		return strings.Contains(args, `"`+strings.Join(lines, `","`)+`"`) && !strings.Contains(args, old)
	},
		"-n", "harikube", "get", "pod", "harikube-0", "-o", `jsonpath={.spec.containers[?(@.name=="harikube")].args}`)
}

// tryPostgres applies the PostgreSQL that comes along, with the Secret as the README makes it.
func (m manifest) tryPostgres(t *testing.T) {
	m.Do(t, "-n", "harikube", "create", "secret", "generic", "harikube-database", "--from-literal=endpoint=postgres://harikube@harikube-postgres:5432/harikube",
		"--from-literal=password=of the test")
	file := theFile(t, "postgres-release-v*.yaml")
	m.Do(t, "apply", "--warnings-as-errors", "--server-side", "--dry-run=server", "-f", file)
	m.Do(t, "apply", "--warnings-as-errors", "-f", file)
	m.Until(t, kubectl.Is("harikube-postgres-0"), "-n", "harikube", "get", "pods", "-l", "app.kubernetes.io/name=postgres", "-o", "jsonpath={.items[*].metadata.name}")
	m.Do(t, "create", "--warnings-as-errors", "--dry-run=server", "-f", m.podOf(t, "harikube-postgres", func(map[string]any) {}))
}

// kustomize compares what kubectl makes of each base with the manifest.
func (c *cluster) kustomize(t *testing.T) {
	bases, err := filepath.Glob(filepath.Join(manifests, "kustomize", "*"))
	if err != nil || len(bases) != 4 {
		t.Fatalf("there are the bases %v, %v", bases, err)
	}
	for _, base := range bases {
		m, err := filepath.Glob(filepath.Join(base, "vcluster-*.yaml"))
		if err != nil || len(m) != 1 {
			t.Fatalf("%s has %v, %v", base, m, err)
		}
		names := func(args ...string) []string {
			lines := strings.Split(c.Do(t, append([]string{"create", "--dry-run=client", "--validate=false", "-o", "name"}, args...)...), "\n")
			slices.Sort(lines)
			return lines
		}
		if got, want := names("-k", base), names("-f", m[0]); !slices.Equal(got, want) || len(want) < 10 {
			t.Errorf("%s is %v, and not %v", base, got, want)
		}
	}
}
