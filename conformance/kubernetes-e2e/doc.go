// Package kubernetese2e names what is built of Kubernetes for `make conformance`: its end-to-end tests and what the images of their
// Pods run.
package kubernetese2e

import (
	// Its tests are Kubernetes' suite. They are built as they are.
	_ "k8s.io/kubernetes/test/e2e"
)
