package built

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// The image for arm64 under an emulator of its processor. It shows that Java, the C library and the server's files belong
// together; how fast it is only a machine of that kind can tell.
func TestArm64(t *testing.T) {
	emulator := os.Getenv("HARIKUBE_QEMU_ARM64")
	if emulator == "" {
		t.Skip("NOT TESTED that the image for arm64 runs: HARIKUBE_QEMU_ARM64 names no qemu-aarch64-static")
	}
	run := func(t *testing.T, path string, program string, arguments ...string) string {
		options := []string{"-arch", "arm64", "-mount", emulator + ":/emulator", "-command", "/emulator", "-command", program}
		return output(t, inContainer(t, path, options, arguments...))
	}
	t.Run("harikube", func(t *testing.T) {
		entry := configOf(t, opened(t, serverArchive("arm64"))).Config.Entrypoint
		got := run(t, serverArchive("arm64"), entry[0], append(entry[1:], "version")...)
		if !strings.HasPrefix(got, "harikube ") || !strings.Contains(got, "Java 25") {
			t.Errorf("it says %q", got)
		}
	})
	t.Run("kubernetes", func(t *testing.T) {
		if !slices.Contains(architecturesOf("kubernetes"), "arm64") {
			t.Skip("NOT TESTED that Kubernetes' image for arm64 runs, and what is in it: to compile it takes some minutes (make test-images-all)")
		}
		for _, program := range []string{"kube-apiserver", "kube-proxy"} {
			got := run(t, kubernetesArchive("arm64"), "/kubernetes/"+program, "--version")
			if !strings.HasPrefix(got, "Kubernetes v"+minor+".") {
				t.Errorf("%s says %q", program, got)
			}
		}
	})
}
