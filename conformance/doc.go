// Package conformance tests the whole: Kubernetes on HariKube, driven as a user drives it.
package conformance
