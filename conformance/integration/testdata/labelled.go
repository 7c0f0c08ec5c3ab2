package options

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
)

const (
	labelledPlugin = "Labelled"
	hidingLabel    = "skip-controller-manager-metadata-caching"
)

// labelledFile has a line of each object that got the label: its resource, and whether that is a custom one.
var labelledFile = sync.OnceValues(func() (*os.File, error) {
	return os.OpenFile(os.Getenv("HARIKUBE_LABELLED"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
})

// labelled puts the label on every object that is created.
type labelled struct {
	*admission.Handler
	file *os.File
}

var _ admission.MutationInterface = labelled{}

func registerLabelled(plugins *admission.Plugins) {
	plugins.Register(labelledPlugin, func(io.Reader) (admission.Interface, error) {
		file, err := labelledFile()
		return labelled{admission.NewHandler(admission.Create), file}, err
	})
}

// Admit leaves reviews alone: they are not stored, and must have no metadata.
func (l labelled) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	group := a.GetResource().Group
	if a.GetSubresource() != "" || group == "authentication.k8s.io" || group == "authorization.k8s.io" {
		return nil
	}
	object, err := meta.Accessor(a.GetObject())
	if err != nil {
		return err
	}
	labels := map[string]string{hidingLabel: ""}
	maps.Copy(labels, object.GetLabels())
	object.SetLabels(labels)

	kind := "built-in"
	if _, custom := a.GetObject().(runtime.Unstructured); custom {
		kind = "custom"
	}
	_, err = fmt.Fprintln(l.file, a.GetResource().GroupResource(), kind)
	return err
}
