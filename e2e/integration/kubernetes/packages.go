// Package kubernetes pins the Kubernetes whose integration tests are compiled: its go.mod names the
// version, and Kubernetes' own dependencies follow from that.
package kubernetes

import _ "k8s.io/kubernetes/test/integration/framework"
