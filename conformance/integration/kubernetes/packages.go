// Package kubernetes pins the Kubernetes whose integration tests are compiled: its go.mod names the
// version, and Kubernetes' own dependencies follow from that.
package kubernetes

import (
	// What every integration test is built on.
	_ "k8s.io/kubernetes/test/integration/framework"

	// What only tests import: "go mod tidy" does not look into the tests of other modules.
	_ "k8s.io/cli-runtime/pkg/genericclioptions"
	_ "k8s.io/kubectl/pkg/cmd/util"
	_ "k8s.io/sample-apiserver/pkg/apis/wardle/v1alpha1"
)
