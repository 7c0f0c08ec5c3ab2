// Package e2e tests the whole: Kubernetes on HariKube, driven as a user drives it.
package e2e
