package controlplane

import (
	"sync"
	"testing"
)

// Control planes that start at the same time take their ports seconds after they have chosen them.
func TestFreePortIsGivenOnce(t *testing.T) {
	var lock sync.Mutex
	var starts sync.WaitGroup
	seen := map[int]bool{}
	for range 8 {
		starts.Go(func() {
			for range 250 {
				port, err := FreePort()
				lock.Lock()
				if err != nil || seen[port] {
					t.Errorf("port %d was given before, or none: %v", port, err)
				}
				seen[port] = true
				lock.Unlock()
			}
		})
	}
	starts.Wait()
}
