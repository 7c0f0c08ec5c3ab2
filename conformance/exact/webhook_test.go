package exact

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
)

// gizmos are converted by a webhook, which changes their labels: a store that took those of the stored version would
// not find them. Their fields have the names that every object has at its top.
var gizmos = &kind{
	plural: "gizmos", bases: []string{"/apis/filters.test/v1", "/apis/filters.test/v2"}, kind: "Gizmo", namespaced: true,
	create:  gizmo,
	changes: []func(*rand.Rand) change{func(r *rand.Rand) change { return patch(gizmo(r)) }},
	fields: map[string][]string{
		"kind": {"Gizmo", "Widget", ""}, "apiVersion": {"filters.test/v1", "filters.test/v2", ""}, "spec.color": {"red", "blue", ""},
	},
}

func gizmo(r *rand.Rand) map[string]any {
	return map[string]any{"spec": map[string]any{"color": pick(r, []string{"red", "blue", ""})}}
}

// gizmosDefinition starts the webhook, which serves until the test ends.
func gizmosDefinition(t *testing.T) string {
	webhook := httptest.NewTLSServer(http.HandlerFunc(convert))
	t.Cleanup(webhook.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: webhook.Certificate().Raw})
	const version = `{
      "name": %q, "served": true, "storage": %t,
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
        "kind": {"type": "string"}, "apiVersion": {"type": "string"},
        "spec": {"type": "object", "properties": {"color": {"type": "string"}}}
      }}},
      "selectableFields": [{"jsonPath": ".kind"}, {"jsonPath": ".apiVersion"}, {"jsonPath": ".spec.color"}]
    }`
	return fmt.Sprintf(`{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "gizmos.filters.test"},
  "spec": {
    "group": "filters.test", "scope": "Namespaced",
    "names": {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo"},
    "versions": [%s, %s],
    "conversion": {"strategy": "Webhook", "webhook": {
      "conversionReviewVersions": ["v1"], "clientConfig": {"url": %q, "caBundle": %s}
    }}
  }
}`, fmt.Sprintf(version, "v1", true), fmt.Sprintf(version, "v2", false), webhook.URL, encode(authority))
}

// convert has two labels change places from one version to the other.
func convert(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Request struct {
			UID               string
			DesiredAPIVersion string
			Objects           []map[string]any
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	objects := review.Request.Objects
	for _, object := range objects {
		object["apiVersion"] = review.Request.DesiredAPIVersion
		labels, _ := object["metadata"].(map[string]any)["labels"].(map[string]any)
		a, hasA := labels["a"]
		b, hasB := labels["b"]
		delete(labels, "a")
		delete(labels, "b")
		if hasA {
			labels["b"] = a
		}
		if hasB {
			labels["a"] = b
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview",
		"response": map[string]any{"uid": review.Request.UID, "convertedObjects": objects, "result": map[string]any{"status": "Success"}},
	})
}
