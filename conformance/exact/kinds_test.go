package exact

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is a resource, and what its objects are at random.
type kind struct {
	plural     string
	bases      []string // its groups and versions; the first is the one for changes
	kind       string   // of a custom resource, whose objects must say it
	namespaced bool
	shared     bool // the API server itself has some, in other namespaces than ours

	create func(r *rand.Rand) map[string]any
	// changes of an object that is there: nil where Kubernetes allows none but of labels.
	changes []func(r *rand.Rand) change
	// fields are the field labels, with values that are worth a question.
	fields map[string][]string
}

// change is a request for an object.
type change struct {
	method, sub string
	body        map[string]any
}

func patch(body map[string]any) change { return change{"PATCH", "", body} }

func patchStatus(status map[string]any) change {
	return change{"PATCH", "/status", map[string]any{"status": status}}
}

func pick[T any](r *rand.Rand, values []T) T { return values[r.IntN(len(values))] }

// long does not get short by compression: databases have limits for what an index holds.
var long = func() string {
	r := rand.New(rand.NewPCG(1, 1))
	var text strings.Builder
	for text.Len() < 9000 {
		text.WriteRune(rune('a' + r.IntN(26)))
	}
	return text.String()
}()

var (
	namespaces  = []string{"team-a", "team-b"}
	labelNames  = []string{"a", "b", "example.com/c", "n"}
	labelValues = []string{"", "1", "2", "10", "x.y_z-1", "A", "a"}
	// What > and < compare: also at the limits of int64, beyond them, and what is no number.
	numbers = []string{"0", "1", "2", "007", "9223372036854775806", "9223372036854775807", "9223372036854775808",
		"99999999999999999999", "1e3", "0x10", "1.5", "x", ""}
	colors = []string{"", "red", "blue", `a,b=c\d`, "grün", "😀", "\ufffd", "\x00?", "a\x00b", " ", "red ", "Red", "a'b\"c%_", "null", long}
	sizes  = []string{"0", "1", "-1", "42", "-0", "1e3", "1.0", "9007199254740993", "9223372036854775807", "-9223372036854775808",
		"9223372036854775808", "18446744073709551616"}
	states = []string{"", "on", "off"}
)

func randomLabels(r *rand.Rand) map[string]any {
	labels := map[string]any{}
	for _, name := range labelNames {
		if r.IntN(2) == 0 {
			labels[name] = labelValue(r, name)
		}
	}
	return labels
}

func labelValue(r *rand.Rand, name string) string {
	if name == "n" {
		return pick(r, numbers)
	}
	return pick(r, labelValues)
}

// changedLabels is for a patch: null removes one.
func changedLabels(r *rand.Rand) map[string]any {
	labels := map[string]any{}
	for _, name := range labelNames {
		switch r.IntN(4) {
		case 0:
			labels[name] = nil
		case 1:
			labels[name] = labelValue(r, name)
		}
	}
	return labels
}

// maybe sets a member to one of the values, or leaves it out.
func maybe[T any](r *rand.Rand, object map[string]any, name string, values []T) {
	if r.IntN(4) > 0 {
		object[name] = pick(r, values)
	}
}

func numbersOf(texts []string) []json.Number {
	var all []json.Number
	for _, text := range texts {
		all = append(all, json.Number(text))
	}
	return all
}

const widgetsDefinition = `{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "widgets.filters.test"},
  "spec": {
    "group": "filters.test", "scope": "Namespaced",
    "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
    "versions": [{
      "name": "v1", "served": true, "storage": true,
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "color": {"type": "string"}, "size": {"type": "integer"}, "lit": {"type": "boolean"},
        "tone": {"type": "string"}, "shape": {"type": "string", "default": "round"}
      }}}}},
      "selectableFields": [{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.size"}, {"jsonPath": ".spec.lit"}, {"jsonPath": ".spec.shape"}]
    }, {
      "name": "v2", "served": true, "storage": false,
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "color": {"type": "string", "default": "red"}, "size": {"type": "integer", "default": 42},
        "tone": {"type": "string"}, "shape": {"type": "string", "default": "square"}
      }}}}},
      "selectableFields": [{"jsonPath": ".spec.color"}, {"jsonPath": ".spec.size"}, {"jsonPath": ".spec.shape"}, {"jsonPath": ".spec.tone"}]
    }]
  }
}`

const gadgetsDefinition = `{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "gadgets.filters.test"},
  "spec": {
    "group": "filters.test", "scope": "Cluster",
    "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
    "versions": [{
      "name": "v1", "served": true, "storage": false,
      "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
        "kind": {"type": "string"}, "apiVersion": {"type": "string"}, "kindness": {"type": "string", "nullable": true},
        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}
      }}},
      "selectableFields": [{"jsonPath": ".kindness"}, {"jsonPath": ".kind"}, {"jsonPath": ".apiVersion"}]
    }, {
      "name": "v1alpha1", "served": true, "storage": true, "subresources": {"status": {}},
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
        "kindness": {"type": "string", "nullable": true, "default": "some"},
        "spec": {"type": "object", "default": {}, "properties": {
          "inner": {"type": "object", "default": {}, "properties": {
            "on": {"type": "boolean", "default": true}, "level": {"type": "integer", "format": "int64", "default": -7}
          }},
          "tags": {"type": "object", "additionalProperties": {"type": "string"}}
        }},
        "status": {"type": "object", "properties": {"state": {"type": "string"}}}
      }}},
      "selectableFields": [{"jsonPath": ".kindness"}, {"jsonPath": ".spec.inner.on"}, {"jsonPath": ".spec.inner.level"},
        {"jsonPath": ".spec.tags.color"}, {"jsonPath": ".status.state"}]
    }]
  }
}`

func parse(text string) map[string]any {
	object, err := decode(json.NewDecoder(strings.NewReader(text)))
	if err != nil {
		panic(err)
	}
	return object
}

func widgetSpec(r *rand.Rand) map[string]any {
	spec := map[string]any{}
	maybe(r, spec, "color", colors)
	maybe(r, spec, "size", numbersOf(sizes))
	maybe(r, spec, "lit", []bool{true, false})
	maybe(r, spec, "shape", []string{"round", "square", ""})
	maybe(r, spec, "tone", []string{"low", "high", ""})
	return map[string]any{"spec": spec}
}

var widgets = &kind{
	plural: "widgets", bases: []string{"/apis/filters.test/v1", "/apis/filters.test/v2"}, kind: "Widget", namespaced: true,
	create:  widgetSpec,
	changes: []func(*rand.Rand) change{func(r *rand.Rand) change { return patch(widgetSpec(r)) }},
	fields: map[string][]string{
		"spec.color": colors, "spec.size": append([]string{"", "+1", "01", "1000", "9.223372036854776e+18"}, sizes...), "spec.lit": {"true", "false", "", "True"},
		"spec.shape": {"round", "square", ""}, "spec.tone": {"low", "high", ""},
	},
}

func gadget(r *rand.Rand) map[string]any {
	object, spec, inner := map[string]any{}, map[string]any{}, map[string]any{}
	maybe(r, object, "kindness", []any{"some", "none", nil, ""})
	maybe(r, inner, "on", []bool{true, false})
	maybe(r, inner, "level", numbersOf([]string{"-7", "0", "7", "9223372036854775807", "-9223372036854775808"}))
	maybe(r, spec, "inner", []any{inner})
	maybe(r, spec, "tags", []any{map[string]any{"color": pick(r, colors)}, map[string]any{}})
	maybe(r, object, "spec", []any{spec})
	return object
}

var gadgets = &kind{
	plural: "gadgets", bases: []string{"/apis/filters.test/v1alpha1", "/apis/filters.test/v1"}, kind: "Gadget",
	create: gadget,
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change { return patch(gadget(r)) },
		func(r *rand.Rand) change { return patchStatus(map[string]any{"state": pick(r, states)}) },
	},
	fields: map[string][]string{
		"kindness": {"some", "none", ""}, "spec.inner.on": {"true", "false", ""}, "spec.inner.level": {"-7", "0", "7", "9223372036854775807", "-9223372036854775808", ""},
		"spec.tags.color": colors, "status.state": states,
		"kind": {"Gadget", "Widget", ""}, "apiVersion": {"filters.test/v1", "filters.test/v1alpha1", ""},
	},
}

var (
	nodeNames = []string{"", "node-1", "node-2"}
	podIPs    = []string{"", "10.1.0.1", "10.1.0.2", "fd00::1"}
	phases    = []string{"Pending", "Running", "Succeeded", "Failed", "Unknown", ""}
)

var pods = &kind{
	plural: "pods", bases: []string{"/api/v1"}, namespaced: true,
	create: func(r *rand.Rand) map[string]any {
		spec := map[string]any{"containers": []any{map[string]any{"name": "main", "image": "example.com/main:1"}}}
		maybe(r, spec, "nodeName", nodeNames)
		maybe(r, spec, "restartPolicy", []string{"Always", "Never", "OnFailure"})
		maybe(r, spec, "schedulerName", []string{"", "own"})
		maybe(r, spec, "serviceAccountName", []string{"", "default", "robot"})
		maybe(r, spec, "hostNetwork", []bool{true, false})
		return map[string]any{"spec": spec}
	},
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change {
			status := map[string]any{"phase": pick(r, phases)}
			switch ip := pick(r, podIPs); ip {
			case "":
				status["podIP"], status["podIPs"] = nil, nil
			default:
				status["podIP"], status["podIPs"] = ip, []any{map[string]any{"ip": ip}}
			}
			maybe(r, status, "nominatedNodeName", nodeNames)
			return patchStatus(status)
		},
		func(r *rand.Rand) change {
			return change{"POST", "/binding", map[string]any{
				"apiVersion": "v1", "kind": "Binding", "target": map[string]any{"kind": "Node", "name": pick(r, nodeNames[1:])},
			}}
		},
	},
	fields: map[string][]string{
		"spec.nodeName": nodeNames, "spec.host": nodeNames, "spec.restartPolicy": {"Always", "Never", ""},
		"spec.schedulerName": {"", "default-scheduler", "own"}, "spec.serviceAccountName": {"", "default", "robot"},
		"spec.hostNetwork": {"true", "false", ""}, "status.phase": phases, "status.podIP": podIPs, "status.podIPs": podIPs,
		"status.nominatedNodeName": nodeNames,
	},
}

var secretTypes = []string{"Opaque", "filters.test/kind", "filters.test/other"}

var secrets = &kind{
	plural: "secrets", bases: []string{"/api/v1"}, namespaced: true,
	create: func(r *rand.Rand) map[string]any {
		object := map[string]any{"stringData": map[string]any{"a": pick(r, labelValues)}}
		maybe(r, object, "type", secretTypes)
		return object
	},
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change {
			return patch(map[string]any{"stringData": map[string]any{"a": pick(r, labelValues)}})
		},
	},
	fields: map[string][]string{"type": append([]string{""}, secretTypes...)},
}

var events = &kind{
	plural: "events", bases: []string{"/api/v1", "/apis/events.k8s.io/v1"}, namespaced: true, shared: true,
	create: func(r *rand.Rand) map[string]any {
		involved := map[string]any{}
		maybe(r, involved, "kind", []string{"Pod", "Node"})
		maybe(r, involved, "name", []string{"x", "y,=\\"})
		maybe(r, involved, "uid", []string{"u-1", "u-2"})
		maybe(r, involved, "apiVersion", []string{"v1", "filters.test/v1"})
		maybe(r, involved, "resourceVersion", []string{"1", "2"})
		maybe(r, involved, "fieldPath", []string{"spec.containers{main}", ""})
		object := map[string]any{"involvedObject": involved}
		maybe(r, object, "reason", []string{"Started", "Killed"})
		maybe(r, object, "reportingComponent", []string{"kubelet", "scheduler"})
		maybe(r, object, "source", []any{map[string]any{"component": "kubelet", "host": "node-1"}, map[string]any{"component": "other"}, map[string]any{}})
		maybe(r, object, "type", []string{"Normal", "Warning"})
		return object
	},
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change {
			return patch(map[string]any{"count": r.IntN(5), "reason": pick(r, []string{"Started", "Killed", ""}), "type": pick(r, []string{"Normal", "Warning", ""})})
		},
	},
	fields: map[string][]string{
		"involvedObject.kind": {"Pod", "Node", ""}, "involvedObject.namespace": namespaces, "involvedObject.name": {"x", "y,=\\", ""},
		"involvedObject.uid": {"u-1", "u-2", ""}, "involvedObject.apiVersion": {"v1", "filters.test/v1", ""},
		"involvedObject.resourceVersion": {"1", "2", ""}, "involvedObject.fieldPath": {"spec.containers{main}", ""},
		"regarding.kind": {"Pod", "Node", ""}, "regarding.name": {"x", "y,=\\", ""}, "reportingController": {"kubelet", "scheduler", ""},
		"reason": {"Started", "Killed", ""}, "reportingComponent": {"kubelet", "scheduler", "", "other"},
		"source": {"kubelet", "other", "scheduler", ""}, "type": {"Normal", "Warning", ""},
	},
}

var namespaceKind = &kind{
	plural: "namespaces", bases: []string{"/api/v1"},
	create: func(*rand.Rand) map[string]any { return map[string]any{} },
	changes: []func(*rand.Rand) change{
		// What is left of one that is being deleted; of another it is refused, as its phase says.
		func(*rand.Rand) change {
			return change{"PUT", "/finalize", map[string]any{"apiVersion": "v1", "kind": "Namespace", "spec": map[string]any{}}}
		},
	},
	fields: map[string][]string{"status.phase": {"Active", "Terminating", ""}},
}

var nodes = &kind{
	plural: "nodes", bases: []string{"/api/v1"},
	create: func(r *rand.Rand) map[string]any {
		spec := map[string]any{}
		maybe(r, spec, "unschedulable", []bool{true, false})
		return map[string]any{"spec": spec}
	},
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change {
			return patch(map[string]any{"spec": map[string]any{"unschedulable": pick(r, []any{true, false, nil})}})
		},
	},
	fields: map[string][]string{"spec.unschedulable": {"true", "false", ""}},
}

var externalNames = []string{"a.example.com", "b.example.com"}

// services have no address that the API server chooses.
var services = &kind{
	plural: "services", bases: []string{"/api/v1"}, namespaced: true,
	create: func(r *rand.Rand) map[string]any {
		spec := map[string]any{"ports": []any{map[string]any{"port": 80}}, "clusterIP": "None"}
		if r.IntN(2) == 0 {
			spec = map[string]any{"type": "ExternalName", "externalName": pick(r, externalNames)}
		}
		return map[string]any{"spec": spec}
	},
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change {
			return patch(map[string]any{"spec": map[string]any{"type": "ExternalName", "externalName": pick(r, externalNames), "clusterIP": nil, "clusterIPs": nil}})
		},
	},
	fields: map[string][]string{"spec.clusterIP": {"None", "", "10.96.0.1"}, "spec.type": {"ClusterIP", "ExternalName", "NodePort", ""}},
}

func template(r *rand.Rand, restart string) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"app": "x", "a": pick(r, labelValues)}},
		"spec":     map[string]any{"restartPolicy": restart, "containers": []any{map[string]any{"name": "main", "image": "example.com/main:1"}}},
	}
}

var jobs = &kind{
	plural: "jobs", bases: []string{"/apis/batch/v1"}, namespaced: true,
	create: func(r *rand.Rand) map[string]any {
		return map[string]any{"spec": map[string]any{
			"manualSelector": true, "selector": map[string]any{"matchLabels": map[string]any{"app": "x"}},
			"completions": 3, "template": template(r, "Never"),
		}}
	},
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change { return patchStatus(map[string]any{"succeeded": r.IntN(4)}) },
	},
	fields: map[string][]string{"status.successful": {"0", "1", "2", "", "00"}},
}

// controllers take the labels of their template if they have none of their own.
var controllers = &kind{
	plural: "replicationcontrollers", bases: []string{"/api/v1"}, namespaced: true,
	create: func(r *rand.Rand) map[string]any {
		return map[string]any{"spec": map[string]any{"replicas": 2, "template": template(r, "Always")}}
	},
	changes: []func(*rand.Rand) change{
		func(r *rand.Rand) change { return patchStatus(map[string]any{"replicas": r.IntN(3)}) },
	},
	fields: map[string][]string{"status.replicas": {"0", "1", "2", ""}},
}

var replicaSets = &kind{
	plural: "replicasets", bases: []string{"/apis/apps/v1"}, namespaced: true,
	create: func(r *rand.Rand) map[string]any {
		return map[string]any{"spec": map[string]any{
			"replicas": 2, "selector": map[string]any{"matchLabels": map[string]any{"app": "x"}}, "template": template(r, "Always"),
		}}
	},
	fields: map[string][]string{"status.replicas": {"0", ""}},
}

var signers = []string{"filters.test/one", "filters.test/two"}

var signingRequests = &kind{
	plural: "certificatesigningrequests", bases: []string{"/apis/certificates.k8s.io/v1"},
	create: func(r *rand.Rand) map[string]any {
		return map[string]any{"spec": map[string]any{"request": certificateRequest, "signerName": pick(r, signers), "usages": []any{"client auth"}}}
	},
	fields: map[string][]string{"spec.signerName": append([]string{""}, signers...)},
}

var certificateRequest = func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificateRequest(cryptorand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "x"}}, key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}()

var drivers = []string{"one.filters.test", "two.filters.test"}

var resourceSlices = &kind{
	plural: "resourceslices", bases: []string{"/apis/resource.k8s.io/v1"},
	create: func(r *rand.Rand) map[string]any {
		spec := map[string]any{"driver": pick(r, drivers), "pool": map[string]any{"name": "x", "generation": 1, "resourceSliceCount": 1}}
		if r.IntN(3) == 0 {
			spec["allNodes"] = true
		} else {
			spec["nodeName"] = pick(r, nodeNames[1:])
		}
		return map[string]any{"spec": spec}
	},
	fields: map[string][]string{"spec.nodeName": nodeNames, "spec.driver": append([]string{""}, drivers...)},
}

var builtIn = []*kind{pods, secrets, events, namespaceKind, nodes, services, jobs, controllers, replicaSets, signingRequests, resourceSlices}

// at returns the path of the resource in a namespace, "" is all of them.
func (k *kind) at(base, namespace string) string {
	if k.namespaced && namespace != "" {
		return fmt.Sprintf("%s/namespaces/%s/%s", base, namespace, k.plural)
	}
	return base + "/" + k.plural
}
