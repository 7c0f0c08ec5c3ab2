package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

// manifest is what is in one of the four files.
type manifest struct {
	flavour
	objects []object
}

// manifests are read from the generated files, as kubectl reads them.
func manifests(t *testing.T) []manifest {
	t.Helper()
	files := written(t)
	var all []manifest
	for _, f := range flavours {
		all = append(all, manifest{f, parse(t, files["vcluster-harikube-"+f.name()+"-release-v0.0.0-dev.yaml"])})
	}
	return all
}

func parse(t *testing.T, data []byte) []object {
	t.Helper()
	var objects []object
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		var o object
		if err := yaml.UnmarshalStrict([]byte(document), &o); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	if len(objects) < 2 {
		t.Fatalf("there are only %d objects", len(objects))
	}
	return objects
}

// each runs a test on each of the four.
func each(t *testing.T, test func(t *testing.T, m manifest)) {
	t.Helper()
	for _, m := range manifests(t) {
		t.Run(m.name(), func(t *testing.T) { test(t, m) })
	}
}

func (m manifest) the(t *testing.T, kind, name string) object {
	t.Helper()
	for _, o := range m.objects {
		if o.kind() == kind && o.text("metadata", "name") == name {
			return o
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func (m manifest) pod(t *testing.T) object {
	return of(m.the(t, "StatefulSet", "harikube").at("spec", "template", "spec"))
}

func (m manifest) config(t *testing.T) object {
	t.Helper()
	var config object
	if err := yaml.UnmarshalStrict([]byte(m.the(t, "Secret", "vc-config-harikube").text("stringData", "config.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	return config
}

func of(value any) object {
	inner, _ := value.(map[string]any)
	return inner
}

func list(value any) []object {
	var objects []object
	elements, _ := value.([]any)
	for _, element := range elements {
		objects = append(objects, of(element))
	}
	return objects
}

func texts(value any) []string {
	var all []string
	elements, _ := value.([]any)
	for _, element := range elements {
		all = append(all, fmt.Sprint(element))
	}
	return all
}

// named returns the element of a list that has the name, or nil.
func named(value any, name string) object {
	for _, element := range list(value) {
		if element.text("name") == name {
			return element
		}
	}
	return nil
}

func containers(pod object) []object {
	return append(list(pod.at("initContainers")), list(pod.at("containers"))...)
}

// TestTrapNames: the certificate of the virtual API has the names by which pods of the host reach it.
func TestTrapNames(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		names := texts(m.config(t).at("controlPlane", "proxy", "extraSANs"))
		for _, name := range []string{"harikube.harikube.svc", "harikube.harikube.svc.cluster.local"} {
			if !slices.Contains(names, name) {
				t.Errorf("%s is not among %v", name, names)
			}
		}
	})
}

// TestTrapForeignName: the certificate has no name that is somebody else's, as an example in the chart's defaults is.
func TestTrapForeignName(t *testing.T) {
	for name, data := range written(t) {
		// The archive has the defaults as they are, below the values of ours.
		if filepath.Ext(name) != ".tgz" && strings.Contains(string(data), "my-host.com") {
			t.Errorf("%s has my-host.com", name)
		}
	}
	each(t, func(t *testing.T, m manifest) {
		for _, way := range []string{"ingress", "tlsRoute"} {
			if host := m.config(t).at("controlPlane", way, "host"); host != "" {
				t.Errorf("the host of %s is %v", way, host)
			}
		}
	})
}

// TestTrapRoot: no container runs as root, also the one for which the chart would say so.
func TestTrapRoot(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		pod := m.pod(t)
		if pod.at("securityContext", "runAsNonRoot") != true || pod.at("securityContext", "runAsUser") != 65532.0 {
			t.Errorf("the pod has %v", pod.at("securityContext"))
		}
		if pod.at("securityContext", "fsGroup") != 65532.0 {
			t.Error("the volumes are not the user's")
		}
		if all := containers(pod); len(all) != 4 {
			t.Errorf("there are %d containers", len(all))
		}
		for _, container := range containers(pod) {
			context := of(container.at("securityContext"))
			if user := context["runAsUser"]; user != nil && user != 65532.0 {
				t.Errorf("%s runs as %v", container.text("name"), user)
			}
			if context["runAsNonRoot"] != true || context["readOnlyRootFilesystem"] != true || context["allowPrivilegeEscalation"] != false ||
				!slices.Equal(texts(of(context["capabilities"])["drop"]), []string{"ALL"}) || of(context["capabilities"])["add"] != nil {
				t.Errorf("%s has %v", container.text("name"), context)
			}
		}
	})
}

// TestTrapWatchedKinds: the syncer may read the kinds that it watches, though it does not sync them. Without, the pod is
// ready and `vcluster connect` never works.
func TestTrapWatchedKinds(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		for _, kind := range []string{"secrets", "services", "configmaps", "endpoints", "pods", "persistentvolumeclaims", "events",
			"endpointslices.discovery.k8s.io"} {
			for _, verb := range []string{"get", "list", "watch"} {
				if !allowed(m.the(t, "Role", "vc-harikube"), verb, kind) {
					t.Errorf("it may not %s %s", verb, kind)
				}
			}
		}
	})
}

func allowed(role object, verb, kind string) bool {
	resource, group, _ := strings.Cut(kind, ".")
	return slices.ContainsFunc(list(role["rules"]), func(rule object) bool {
		return slices.Contains(texts(rule["apiGroups"]), group) && slices.Contains(texts(rule["resources"]), resource) &&
			slices.Contains(texts(rule["verbs"]), verb)
	})
}

// TestRights: no more than is used. No rights in other namespaces, none for accounts of others, and no rights to give rights.
func TestRights(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		var kinds []string
		for _, o := range m.objects {
			kinds = append(kinds, o.kind())
		}
		if slices.Contains(kinds, "ClusterRole") || slices.Contains(kinds, "ClusterRoleBinding") {
			t.Errorf("there are rights in the whole host: %v", kinds)
		}
		role := m.the(t, "Role", "vc-harikube")
		for _, rule := range list(role["rules"]) {
			for _, key := range []string{"verbs", "resources", "apiGroups"} {
				if slices.Contains(texts(rule[key]), "*") {
					t.Errorf("a rule of everything: %v", rule)
				}
			}
			if slices.Contains(texts(rule["apiGroups"]), "rbac.authorization.k8s.io") || slices.Contains(texts(rule["resources"]), "serviceaccounts/token") {
				t.Errorf("it may give itself rights: %v", rule)
			}
		}
		for _, kind := range []string{"statefulsets.apps"} {
			if !allowed(role, "patch", kind) || allowed(role, "delete", kind) || allowed(role, "create", kind) {
				t.Errorf("the rights to %s", kind)
			}
		}
		if writes := allowed(role, "create", "pods"); writes != (m.flavour.flavour == "workload") {
			t.Errorf("it may make pods: %v", writes)
		}
		for _, binding := range m.objects {
			if binding.kind() == "RoleBinding" {
				if subjects := list(binding["subjects"]); len(subjects) != 1 || subjects[0].text("name") != "vc-harikube" {
					t.Errorf("the rights are those of %v", subjects)
				}
			}
		}
		// The account of the users' pods has no rights, and no token; in our pod the container that asks the host has one.
		if m.the(t, "ServiceAccount", "vc-workload-harikube")["automountServiceAccountToken"] != false || m.pod(t)["automountServiceAccountToken"] != false {
			t.Error("tokens are mounted everywhere")
		}
		for _, container := range containers(m.pod(t)) {
			has := slices.ContainsFunc(list(container["volumeMounts"]), func(mount object) bool { return mount.text("name") == "host-api" })
			if has != (container.text("name") == "syncer") {
				t.Errorf("%s has a token of the host: %v", container.text("name"), has)
			}
		}
	})
}

// TestTrapNamespace: every object says its namespace, the PodDisruptionBudget too; and the first object is that.
func TestTrapNamespace(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		if first := m.objects[0]; first.kind() != "Namespace" || first.text("metadata", "name") != "harikube" {
			t.Errorf("the first object is %s", first.kind())
		}
		for _, o := range m.objects[1:] {
			if o.text("metadata", "namespace") != "harikube" {
				t.Errorf("%s %s is in %q", o.kind(), o.text("metadata", "name"), o.text("metadata", "namespace"))
			}
		}
		budget := m.the(t, "PodDisruptionBudget", "harikube")
		if budget.at("spec", "maxUnavailable") != 1.0 {
			t.Errorf("the node of the pod could not be drained: %v", budget["spec"])
		}
		if last := m.objects[len(m.objects)-1]; last.kind() != "StatefulSet" {
			t.Errorf("the last object is %s", last.kind())
		}
	})
}

// TestTrapVersion: vCluster's image has a tag, and no label the version that the chart has in its module.
func TestTrapVersion(t *testing.T) {
	version := theSources(t).vclusterVersion
	each(t, func(t *testing.T, m manifest) {
		if image := named(m.pod(t)["containers"], "syncer").text("image"); image != "ghcr.io/loft-sh/vcluster-oss:"+version {
			t.Errorf("the syncer is %s", image)
		}
		for _, o := range m.objects {
			if chart := o.text("metadata", "labels", "chart"); chart != "" && chart != "vcluster-"+version {
				t.Errorf("%s %s has the label %s", o.kind(), o.text("metadata", "name"), chart)
			}
		}
	})
}

// TestTrapReadable: the configuration is no base64, so that a change of it is seen, and it has no secret.
func TestTrapReadable(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		if secret := m.the(t, "Secret", "vc-config-harikube"); secret["data"] != nil || m.config(t).at("controlPlane") == nil {
			t.Error("the configuration cannot be read")
		}
		for _, o := range m.objects {
			if o.kind() == "Secret" && o.text("metadata", "name") != "vc-config-harikube" {
				t.Errorf("a Secret comes in a public file: %s", o.text("metadata", "name"))
			}
		}
		// What stands in the defaults is off, or replaced.
		config := m.config(t)
		for _, off := range [][]string{{"controlPlane", "ingress", "enabled"}, {"controlPlane", "tlsRoute", "enabled"}, {"telemetry", "enabled"}} {
			if config.at(off...) != false {
				t.Errorf("%v is on", off)
			}
		}
		if request := named(m.pod(t)["containers"], "syncer").text("resources", "requests", "ephemeral-storage"); request != "512Mi" {
			t.Errorf("a node must have %s of disk", request)
		}
	})
}

// TestTrapCopy: the programs are copied by a `cp` in the PATH, with enough CPU, into a volume of the container that runs them.
func TestTrapCopy(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		first := list(m.pod(t)["initContainers"])[0]
		if first.text("name") != "kubernetes" || !slices.Equal(texts(first["command"]), []string{"cp"}) ||
			!slices.Equal(texts(first["args"]), []string{"-r", "/kubernetes/.", "/binaries/"}) {
			t.Errorf("the first container is %v", first)
		}
		if cpu, err := strconv.Atoi(first.text("resources", "limits", "cpu")); err != nil || cpu < 1 {
			t.Errorf("it may use %v of CPU", first.at("resources", "limits", "cpu"))
		}
		if named(named(m.pod(t)["containers"], "syncer")["volumeMounts"], "binaries") == nil {
			t.Error("the syncer does not have the programs")
		}
	})
}

// TestTrapNoShell: the server's image has no shell, so it is started by its entry point, with arguments alone; SQLite's
// library and the temporary files have a place.
func TestTrapNoShell(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		server := named(m.pod(t)["containers"], "harikube")
		if server == nil || server["command"] != nil || texts(server["args"])[0] != "server" {
			t.Fatalf("the container is %v", server)
		}
		mounts := map[string]string{}
		for _, mount := range list(server["volumeMounts"]) {
			mounts[mount.text("mountPath")] = mount.text("name")
		}
		if volume := named(m.pod(t)["volumes"], mounts["/tmp"]); volume["emptyDir"] == nil {
			t.Errorf("/tmp is %v", volume)
		}
		if mounts["/data"] != "database" {
			t.Errorf("/data is %s", mounts["/data"])
		}
		for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
			if server.text(probe, "httpGet", "path") == "" {
				t.Errorf("%s needs a program: %v", probe, server[probe])
			}
		}
	})
}

// TestTrapReadyAtOnce: both containers are asked every second whether they have started.
func TestTrapReadyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		for _, container := range list(m.pod(t)["containers"]) {
			if period := container.at("startupProbe", "periodSeconds"); period != 1.0 {
				t.Errorf("%s is asked every %v s", container.text("name"), period)
			}
			// A store may take minutes to open, and the API server waits for it.
			if threshold, _ := container.at("startupProbe", "failureThreshold").(float64); threshold < 600 {
				t.Errorf("%s has only %v s to start", container.text("name"), threshold)
			}
		}
		// vCluster is as healthy as its API server, and so as the database.
		probe := of(named(m.pod(t)["containers"], "syncer")["livenessProbe"])
		if limit := probe["periodSeconds"].(float64) * probe["failureThreshold"].(float64); limit < 1800 {
			t.Errorf("the syncer is killed when the database has been away for %v s", limit)
		}
	})
}

// TestTrapImages: images.txt has every image, also of what vCluster brings, and each has a registry and a tag.
func TestTrapImages(t *testing.T) {
	files := written(t)
	images := strings.Fields(string(files["images.txt"]))
	if want := []string{
		"docker.io/coredns/coredns:1.14.2", "docker.io/library/postgres:18.1", "ghcr.io/loft-sh/vcluster-oss:0.36.1",
		"mirror.gcr.io/library/alpine:3.20", "quay.io/harikube-jvm/harikube:v0.0.0-dev", "quay.io/harikube-jvm/kubernetes:v1.37.2-v0.0.0-dev",
	}; !slices.Equal(images, want) {
		t.Errorf("images.txt has %v", images)
	}
	for _, m := range manifests(t) {
		dns := of(m.config(t).at("controlPlane", "coredns"))
		if on := dns["enabled"] == true; on != (m.flavour.flavour == "workload") || on && !slices.Contains(images, dns.text("deployment", "image")) {
			t.Errorf("the DNS of %s is %v", m.name(), dns)
		}
		for _, container := range containers(m.pod(t)) {
			if !slices.Contains(images, container.text("image")) {
				t.Errorf("%s is not in images.txt", container.text("image"))
			}
		}
	}
}

// TestTrapSecrets: all Secrets of the virtual cluster come to the host, in both flavours.
func TestTrapSecrets(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		if secrets := of(m.config(t).at("sync", "toHost", "secrets")); secrets["enabled"] != true || secrets["all"] != true {
			t.Errorf("the Secrets are %v", secrets)
		}
		for _, verb := range []string{"create", "update", "patch", "delete"} {
			if !allowed(m.the(t, "Role", "vc-harikube"), verb, "secrets") {
				t.Errorf("it may not %s them", verb)
			}
		}
		synced := 0
		for kind, setting := range of(m.config(t).at("sync", "toHost")) {
			if of(setting)["enabled"] == true {
				synced++
				if m.flavour.flavour == "api" && kind != "secrets" {
					t.Errorf("%s come to the host", kind)
				}
			}
		}
		if m.flavour.flavour == "workload" && synced < 6 {
			t.Errorf("only %d kinds come to the host", synced)
		}
	})
}

// TestTrapStatefulSet: it is a StatefulSet, as `kubectl wait` asks for, a broken pod of which is replaced; with the labels
// and names by which `vcluster connect` finds it.
func TestTrapStatefulSet(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		set := m.the(t, "StatefulSet", "harikube")
		if set.at("spec", "podManagementPolicy") != "Parallel" {
			t.Error("a pod with a mistake in its arguments would never be replaced")
		}
		for _, labels := range []object{of(set.at("metadata", "labels")), of(set.at("spec", "template", "metadata", "labels")), of(set.at("spec", "selector", "matchLabels"))} {
			if labels["app"] != "vcluster" || labels["release"] != "harikube" {
				t.Errorf("it is not found by %v", labels)
			}
		}
		if m.the(t, "Service", "harikube").at("metadata", "labels", "vcluster.loft.sh/service") != "true" {
			t.Error("the Service is not found")
		}
		m.the(t, "Service", set.text("spec", "serviceName"))
		claims := list(set.at("spec", "volumeClaimTemplates"))
		if len(claims) != 1 || claims[0].text("metadata", "name") != "database" || claims[0].text("spec", "resources", "requests", "storage") != "5Gi" {
			t.Errorf("the claims are %v", claims)
		}
		if set.at("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted") != "Retain" {
			t.Error("the data goes with the StatefulSet")
		}
	})
}

// TestTrapOneOverTheOther: each of the four can be applied over each other one, as a change of the database is made, or one
// of what runs on the host: the fields of the StatefulSet that the API server does not let change are the same.
func TestTrapOneOverTheOther(t *testing.T) {
	first := manifests(t)[0].the(t, "StatefulSet", "harikube")
	each(t, func(t *testing.T, m manifest) {
		set := m.the(t, "StatefulSet", "harikube")
		for _, field := range []string{"serviceName", "podManagementPolicy", "selector", "volumeClaimTemplates"} {
			if got, want := set.at("spec", field), first.at("spec", field); got == nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s is %v, and in the first %v", field, got, want)
			}
		}
	})
}

// TestTrapTenants: nothing of ours chooses a pod of the virtual cluster's users. vCluster brings their labels to the host
// as they are, but for `release`, so that is in every selector, and a pod of theirs with all of our labels else is none of ours.
func TestTrapTenants(t *testing.T) {
	files := written(t)
	check := func(t *testing.T, objects []object) {
		t.Helper()
		found := 0
		for _, o := range objects {
			var selectors []any
			switch o.kind() {
			case "Service":
				selectors = append(selectors, o.at("spec", "selector"))
			case "NetworkPolicy":
				selectors = append(selectors, o.at("spec", "podSelector", "matchLabels"))
				for _, rule := range list(o.at("spec", "ingress")) {
					for _, peer := range list(rule["from"]) {
						if peer["podSelector"] != nil {
							selectors = append(selectors, peer.at("podSelector", "matchLabels"))
						}
					}
				}
			case "StatefulSet", "PodDisruptionBudget":
				selectors = append(selectors, o.at("spec", "selector", "matchLabels"))
			}
			for _, selector := range selectors {
				found++
				if of(selector).text("release") == "" {
					t.Errorf("%s %s is for the pods %v", o.kind(), o.text("metadata", "name"), selector)
				}
			}
		}
		if found < 4 {
			t.Errorf("there are %d selectors", found)
		}
	}
	each(t, func(t *testing.T, m manifest) { check(t, m.objects) })
	t.Run("postgres", func(t *testing.T) { check(t, parse(t, files["postgres-release-v0.0.0-dev.yaml"])) })
}

// TestTrapStop: the store outlives the API server, which is stopped at the same time.
func TestTrapStop(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		seconds, _ := named(m.pod(t)["containers"], "harikube").at("lifecycle", "preStop", "sleep", "seconds").(float64)
		grace, _ := m.pod(t)["terminationGracePeriodSeconds"].(float64)
		if seconds != 3 || grace < seconds+10 {
			t.Errorf("the store waits %v s, and all have %v", seconds, grace)
		}
	})
}

// TestStore: vCluster and its API server have one store, ours, on the pod's loopback with certificates that an init
// container has made; nothing of theirs is kept elsewhere.
func TestStore(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		config, pod := m.config(t), m.pod(t)
		stores := of(config.at("controlPlane", "backingStore"))
		for _, store := range [][]string{{"database", "embedded"}, {"database", "external"}, {"etcd", "embedded"}, {"etcd", "deploy"}} {
			if stores.at(append(store, "enabled")...) != false {
				t.Errorf("there is a second store, %v", store)
			}
		}
		server, syncer := named(pod["containers"], "harikube"), named(pod["containers"], "syncer")
		args := texts(server["args"])
		if stores.at("etcd", "external", "enabled") != true || !slices.Contains(args, "--listen-address="+stores.text("etcd", "external", "endpoint")) ||
			!strings.HasPrefix(stores.text("etcd", "external", "endpoint"), "127.0.0.1:") {
			t.Errorf("the store is %v, and the server has %v", stores.at("etcd", "external"), args)
		}
		if volume := named(pod["volumes"], "data"); volume["emptyDir"] == nil {
			t.Errorf("vCluster keeps data of its own: %v", volume)
		}

		// Each file of the certificates is one that `certificates` writes into a volume in memory, and only its own side has it.
		maker := named(pod["initContainers"], "certificates")
		if !slices.Equal(texts(maker["command"]), []string{"certificates", "/server", "/client"}) {
			t.Errorf("the certificates are made by %v", maker["command"])
		}
		for _, side := range []struct {
			container object
			folder    string
			files     []string
		}{
			{server, "/server", []string{argument(args, "server-cert-file"), argument(args, "server-key-file"), argument(args, "trusted-ca-file")}},
			{syncer, "/client", []string{stores.text("etcd", "external", "tls", "certFile"), stores.text("etcd", "external", "tls", "keyFile"),
				stores.text("etcd", "external", "tls", "caFile")}},
		} {
			if want := []string{"/store-tls/tls.crt", "/store-tls/tls.key", "/store-tls/ca.crt"}; !slices.Equal(side.files, want) {
				t.Errorf("%s reads %v", side.container.text("name"), side.files)
			}
			volume := mountAt(maker, side.folder)
			if volume == "" || mountAt(side.container, "/store-tls") != volume || named(pod["volumes"], volume).text("emptyDir", "medium") != "Memory" {
				t.Errorf("the certificates of %s are in %q", side.container.text("name"), volume)
			}
		}

		// The database is named by the arguments, and no password is in them.
		endpoint := argument(args, "endpoint")
		if m.database == "sqlite" && endpoint != "sqlite:///data/state.db" || m.database == "postgres" && (endpoint != "" ||
			argument(args, "endpoint-file") != "/database/endpoint" || argument(args, "datastore-password-file") != "/database/password") {
			t.Errorf("the database is %v", args)
		}
		secret := of(named(pod["volumes"], mountAt(server, "/database"))["secret"])
		if secret.text("secretName") != "harikube-database" || (secret["optional"] == true) != (m.database == "sqlite") {
			t.Errorf("the Secret of the database is %v", secret)
		}
		if argument(args, "name") != "harikube.harikube" {
			t.Errorf("it is no other server than that of another virtual cluster: %v", args)
		}
		wait, err := time.ParseDuration(argument(args, "datastore-startup-timeout"))
		probe := of(server["startupProbe"])
		if limit := probe["periodSeconds"].(float64) * probe["failureThreshold"].(float64); err != nil || wait <= time.Minute || wait.Seconds() >= limit {
			t.Errorf("it waits %v for its database (%v), and is killed after %v s", wait, err, limit)
		}
		if argument(args, "owner-file") != "/data/owner" {
			t.Errorf("which store is ours is not kept: %v", args)
		}
	})
}

func argument(args []string, name string) string {
	for _, arg := range args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
	}
	return ""
}

// mountAt is the volume that the container has at the path.
func mountAt(container object, path string) string {
	for _, mount := range list(container["volumeMounts"]) {
		if mount.text("mountPath") == path {
			return mount.text("name")
		}
	}
	return ""
}

// TestPodSecurity: the namespace enforces what its pods can keep: all of them where there are only ours.
func TestPodSecurity(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		labels := of(m.objects[0].at("metadata", "labels"))
		enforced := any(nil)
		if m.flavour.flavour == "api" {
			enforced = "restricted"
		}
		if labels["pod-security.kubernetes.io/enforce"] != enforced || labels["pod-security.kubernetes.io/warn"] != "restricted" ||
			labels["pod-security.kubernetes.io/audit"] != "restricted" {
			t.Errorf("the namespace has %v", labels)
		}
	})
}

// TestNetworkPolicies: what the pod needs passes, by the rules.
func TestNetworkPolicies(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		policy := m.the(t, "NetworkPolicy", "harikube")
		pod := of(m.the(t, "StatefulSet", "harikube").at("spec", "template", "metadata", "labels"))
		if !selects(of(policy.at("spec", "podSelector", "matchLabels")), pod) {
			t.Error("it is not for the pod")
		}
		for what, port := range map[string]string{"DNS": "UDP 53", "the host's API": "TCP 6443", "the host's API by the Service": "TCP 443", "PostgreSQL": "TCP 5432"} {
			if !passes(policy.at("spec", "egress"), port, "") {
				t.Errorf("%s is not reached", what)
			}
		}
		if passes(policy.at("spec", "egress"), "TCP 25", "") {
			t.Error("everything leaves the pod")
		}
		// Webhooks of the virtual cluster are pods that vCluster has made on the host.
		if reached := passes(policy.at("spec", "egress"), "TCP 9443", "podSelector"); reached != (m.flavour.flavour == "workload") {
			t.Errorf("webhooks are reached: %v", reached)
		}
		if !passes(policy.at("spec", "ingress"), "TCP 8443", "") || !passes(policy.at("spec", "ingress"), "TCP 8080", "namespaceSelector") {
			t.Error("the API or the metrics are not reached")
		}
		if passes(policy.at("spec", "ingress"), "TCP 8080", "") || passes(policy.at("spec", "ingress"), "TCP 2379", "namespaceSelector") {
			t.Error("the store is reached from outside")
		}
	})
}

// passes says whether a rule allows the port, for everybody or for those that are chosen by the given kind of selector.
func passes(rules any, port, by string) bool {
	return slices.ContainsFunc(list(rules), func(rule object) bool {
		peers := append(list(rule["to"]), list(rule["from"])...)
		if by == "" && len(peers) > 0 || by != "" && !slices.ContainsFunc(peers, func(peer object) bool { return peer[by] != nil }) {
			return false
		}
		ports := list(rule["ports"])
		return len(ports) == 0 || slices.ContainsFunc(ports, func(p object) bool { return fmt.Sprintf("%v %v", p["protocol"], p["port"]) == port })
	})
}

func selects(selector, labels object) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return len(selector) > 0
}

// TestAPIServerFlags: those of `make run`, and how many requests there may be at once.
func TestAPIServerFlags(t *testing.T) {
	each(t, func(t *testing.T, m manifest) {
		args := texts(m.config(t).at("controlPlane", "distro", "k8s", "apiServer", "extraArgs"))
		for _, flag := range []string{"--watch-cache=false", "--feature-gates=MutatingAdmissionPolicy=true,SizeBasedListCostEstimate=false",
			"--runtime-config=admissionregistration.k8s.io/v1beta1=true", "--max-requests-inflight=900", "--max-mutating-requests-inflight=300"} {
			if !slices.Contains(args, flag) {
				t.Errorf("%s is not among %v", flag, args)
			}
		}
		if m.config(t).at("controlPlane", "distro", "k8s", "scheduler", "enabled") != false {
			t.Error("there is a scheduler")
		}
	})
}

// TestTrapControllers: the controllers are those that vCluster would name, without one that Kubernetes 1.37 does not know.
func TestTrapControllers(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(theSources(t).vclusterFolder, "pkg", "k8s", "k8s.go"))
	if err != nil {
		t.Fatal(err)
	}
	lists := regexp.MustCompile(`"--controllers=([^"]*)"`).FindAllStringSubmatch(string(source), -1)
	if len(lists) != 3 || strings.Contains(lists[0][1], "cloud-node-lifecycle") {
		t.Fatalf("vCluster has the lists %q; there were three when this was written, for private nodes, a scheduler, and neither", lists)
	}
	check := func(t *testing.T, m manifest, want ...string) {
		t.Helper()
		args := texts(m.config(t).at("controlPlane", "distro", "k8s", "controllerManager", "extraArgs"))
		if len(want) == 0 && len(args) == 0 {
			return
		}
		got := []string{}
		if len(args) == 1 {
			got = strings.Split(strings.TrimPrefix(args[0], "--controllers="), ",")
		}
		want = slices.DeleteFunc(want, func(name string) bool { return name == "-cloud-node-lifecycle" })
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("the controller manager has %q; want %q", args, want)
		}
	}
	withScheduler, neither := strings.Split(lists[1][1], ","), strings.Split(lists[2][1], ",")
	each(t, func(t *testing.T, m manifest) { check(t, m, slices.Clone(neither)...) })

	on := map[string]any{"enabled": true}
	for name, user := range map[string]struct {
		says map[string]any
		want []string
	}{
		"private nodes":       {map[string]any{"privateNodes": on}, nil},
		"a virtual scheduler": {map[string]any{"controlPlane": map[string]any{"advanced": map[string]any{"virtualScheduler": on}}}, withScheduler},
		"a scheduler": {map[string]any{"controlPlane": map[string]any{"distro": map[string]any{"k8s": map[string]any{"scheduler": on}}}},
			slices.Clone(withScheduler)},
		"resource claim templates": {map[string]any{"sync": map[string]any{"toHost": map[string]any{"resourceClaimTemplates": on}}},
			append(slices.Clone(neither), "-resourceclaim-controller")},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := render(packaged(t), theRelease, "1.37", map[string]any{"vcluster": user.says})
			if err != nil {
				t.Fatal(err)
			}
			check(t, manifest{objects: objects}, user.want...)
		})
	}
}

// TestMonitoringResolves: what Prometheus is told to look for is there, port by port.
func TestMonitoringResolves(t *testing.T) {
	files := written(t)
	monitors := parse(t, files["monitoring/servicemonitor.yaml"])
	each(t, func(t *testing.T, m manifest) {
		annotations := of(m.the(t, "StatefulSet", "harikube").at("spec", "template", "metadata", "annotations"))
		port := named(named(m.pod(t)["containers"], "harikube")["ports"], "metrics")["containerPort"]
		if annotations["prometheus.io/scrape"] != "true" || annotations["prometheus.io/port"] != fmt.Sprint(port) || annotations["prometheus.io/path"] != "/metrics" {
			t.Errorf("the annotations are %v, and the port is %v", annotations, port)
		}
		for _, monitor := range monitors {
			var services []object
			for _, o := range m.objects {
				if o.kind() == "Service" && selects(of(monitor.at("spec", "selector", "matchLabels")), of(o.at("metadata", "labels"))) &&
					slices.Contains(texts(monitor.at("spec", "namespaceSelector", "matchNames")), o.text("metadata", "namespace")) {
					services = append(services, o)
				}
			}
			if len(services) != 1 {
				t.Fatalf("%s finds %d services", monitor.text("metadata", "name"), len(services))
			}
			if !selects(of(services[0].at("spec", "selector")), of(m.the(t, "StatefulSet", "harikube").at("spec", "template", "metadata", "labels"))) {
				t.Errorf("%s has no pod", services[0].text("metadata", "name"))
			}
			for _, endpoint := range list(monitor.at("spec", "endpoints")) {
				port := named(services[0].at("spec", "ports"), endpoint.text("port"))
				if port == nil || !listens(m.pod(t), port["targetPort"]) {
					t.Errorf("%s of %s leads to %v", endpoint.text("port"), monitor.text("metadata", "name"), port)
				}
				if endpoint.text("scheme") == "https" {
					names := texts(m.config(t).at("controlPlane", "proxy", "extraSANs"))
					if !slices.Contains(names, endpoint.text("tlsConfig", "serverName")) {
						t.Errorf("%s is not in the certificate, which has %v", endpoint.text("tlsConfig", "serverName"), names)
					}
				}
			}
		}
	})
}

// listens says whether a container has the port, by its name or in its probes.
func listens(pod object, port any) bool {
	return slices.ContainsFunc(list(pod["containers"]), func(container object) bool {
		name, _ := port.(string)
		return named(container["ports"], name) != nil || container.at("readinessProbe", "httpGet", "port") == port
	})
}

// TestPostgres: the PostgreSQL for trying out is what the manifests expect, has no password in its file, and is as
// restricted as the rest.
func TestPostgres(t *testing.T) {
	files := written(t)
	m := manifest{objects: parse(t, files["postgres-release-v0.0.0-dev.yaml"])}
	set := m.the(t, "StatefulSet", "harikube-postgres")
	pod := of(set.at("spec", "template", "spec"))
	container := containers(pod)[0]
	context := of(container["securityContext"])
	if pod.at("securityContext", "runAsNonRoot") != true || pod.at("securityContext", "seccompProfile", "type") != "RuntimeDefault" ||
		context["allowPrivilegeEscalation"] != false || context["readOnlyRootFilesystem"] != true || !slices.Equal(texts(of(context["capabilities"])["drop"]), []string{"ALL"}) {
		t.Errorf("it is not restricted: %v, %v", pod["securityContext"], context)
	}
	if named(pod["volumes"], "password").text("secret", "secretName") != "harikube-database" || mountAt(container, "/password") != "password" ||
		named(container["env"], "POSTGRES_PASSWORD_FILE").text("value") != "/password/password" {
		t.Errorf("its password is %v", container["env"])
	}
	policy := m.the(t, "NetworkPolicy", "harikube-postgres")
	labels := of(set.at("spec", "template", "metadata", "labels"))
	if !selects(of(policy.at("spec", "podSelector", "matchLabels")), labels) || !selects(of(m.the(t, "Service", "harikube-postgres").at("spec", "selector")), labels) {
		t.Error("its policy or its Service is for other pods")
	}
	from := of(list(list(policy.at("spec", "ingress"))[0]["from"])[0].at("podSelector", "matchLabels"))
	for _, of4 := range manifests(t) {
		if !selects(from, of(of4.the(t, "StatefulSet", "harikube").at("spec", "template", "metadata", "labels"))) {
			t.Errorf("%s may not reach it", of4.name())
		}
	}
	for name, data := range files {
		if strings.Contains(strings.ToLower(string(data)), "begin private key") {
			t.Errorf("%s has a key", name)
		}
	}
	if kinds := slices.Sorted(maps.Keys(countKinds(m.objects))); slices.Contains(kinds, "Secret") {
		t.Errorf("it has %v", kinds)
	}
}

func countKinds(objects []object) map[string]int {
	counts := map[string]int{}
	for _, o := range objects {
		counts[o.kind()]++
	}
	return counts
}

// TestMonitoringKinds: the operator's resources have no field that it does not know, and the rules are those of the file.
func TestMonitoringKinds(t *testing.T) {
	files := written(t)
	for document := range strings.SplitSeq(string(files["monitoring/servicemonitor.yaml"]), "\n---\n") {
		var monitor monitoring.ServiceMonitor
		if err := yaml.UnmarshalStrict([]byte(document), &monitor); err != nil {
			t.Error(err)
		}
		if monitor.APIVersion != "monitoring.coreos.com/v1" || len(monitor.Spec.Endpoints) == 0 {
			t.Errorf("there is %v", monitor)
		}
	}
	var rule monitoring.PrometheusRule
	if err := yaml.UnmarshalStrict(files["monitoring/prometheusrule.yaml"], &rule); err != nil {
		t.Fatal(err)
	}
	var plain monitoring.PrometheusRuleSpec
	if err := yaml.UnmarshalStrict(files["monitoring/alerts.yaml"], &plain); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(rule.Spec, plain) || len(plain.Groups) == 0 {
		t.Errorf("the rules are %v, and in the file %v", rule.Spec, plain)
	}
	var dashboard object
	if err := yaml.UnmarshalStrict(files["monitoring/dashboard.yaml"], &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.text("data", "harikube.json") != string(files["monitoring/dashboard.json"]) {
		t.Error("the dashboard of the ConfigMap is another one")
	}
}
