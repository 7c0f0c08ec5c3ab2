package conformance

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"harikube.io/conformance/kubectl"
)

// migrations has the version of StorageVersionMigration in each minor version of Kubernetes that is not on by itself.
var migrations = map[string]string{"1.34": "v1alpha1", "1.35": "v1beta1", "1.36": "v1beta1"}

// partsDefinition stores parts as one of the versions, and has them in all.
func partsDefinition(stored string, versions ...string) string {
	var text strings.Builder
	text.WriteString(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: parts.migration.test}
spec:
  group: migration.test
  scope: Namespaced
  names: {plural: parts, singular: part, kind: Part}
  versions:
`)
	for _, version := range versions {
		fmt.Fprintf(&text, "  - {name: %s, served: true, storage: %t, schema: {openAPIV3Schema: {type: object}}}\n", version, version == stored)
	}
	return text.String()
}

// TestMigration has the storage version migrator write all objects anew, those with the label and more than a page of
// them, too: what it leaves behind nobody can read when the old version is gone.
func TestMigration(t *testing.T) {
	for name, store := range databases {
		t.Run(name, func(t *testing.T) {
			c := beside(t, "migration-"+name, store(t))
			c.migration(t)
		})
	}
}

// minor is the minor version of the API server that is there.
func minor(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "kube-apiserver"), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), " v")
	return strings.Join(strings.Split(version, ".")[:2], ".")
}

func (c *cluster) migration(t *testing.T) {
	version := "v1"
	if before, found := migrations[minor(t)]; found {
		version = before
		c.apiServerArgs = []string{
			"--feature-gates=StorageVersionMigrator=true",
			"--runtime-config=storagemigration.k8s.io/" + version + "=true",
		}
		c.managerArgs = []string{"--feature-gates=StorageVersionMigrator=true,InformerResourceVersion=true"}
	}
	c.start(t)
	c.Apply(t, partsDefinition("v1", "v1"))
	c.Established(t, "parts.migration.test")
	c.Until(t, kubectl.Lines(0), "get", "parts", "-o", "name")
	const count = 230
	var parts strings.Builder
	for i := range count {
		fmt.Fprintf(&parts, "{apiVersion: migration.test/v1, kind: Part, metadata: {name: part-%d, namespace: default, labels: {%s}}}\n---\n",
			i, []string{"", skipCaching + `: ""`}[i%2])
	}
	c.Apply(t, parts.String())

	c.Apply(t, partsDefinition("v2", "v1", "v2"))
	c.Until(t, kubectl.Lines(count), "get", "parts.v2.migration.test", "-o", "name")
	resource := "{group: migration.test, resource: parts}"
	if version == "v1alpha1" {
		resource = "{group: migration.test, version: v2, resource: parts}"
	}
	c.Apply(t, fmt.Sprintf("{apiVersion: storagemigration.k8s.io/%s, kind: StorageVersionMigration, metadata: {name: parts}, spec: {resource: %s}}",
		version, resource))
	c.Until(t, kubectl.Is("True"), "get", "storageversionmigration", "parts", "-o", `jsonpath={.status.conditions[?(@.type=="Succeeded")].status}`)
	if minor := minor(t); minor == "1.34" || minor == "1.35" { // which leave that to whoever asked for it
		c.Do(t, "patch", "crd", "parts.migration.test", "--subresource=status", "--type=merge", "-p", `{"status":{"storedVersions":["v2"]}}`)
	}
	c.Until(t, kubectl.Is(`["v2"]`), "get", "crd", "parts.migration.test", "-o", "jsonpath={.status.storedVersions}")

	c.Apply(t, partsDefinition("v2", "v2"))
	c.Until(t, kubectl.Is("v2"), "get", "crd", "parts.migration.test", "-o", "jsonpath={.spec.versions[*].name}")
	c.Until(t, kubectl.Lines(count), "get", "parts", "-o", "name")
}
