package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/certificates/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	_ "k8s.io/kubernetes/pkg/apis/events/install"
	_ "k8s.io/kubernetes/pkg/apis/extensions/install"
	_ "k8s.io/kubernetes/pkg/apis/flowcontrol/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/node/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
	_ "k8s.io/kubernetes/pkg/apis/storagemigration/install"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/certificates/certificates"
	clustertrustbundle "k8s.io/kubernetes/pkg/registry/certificates/clustertrustbundle/storage"
	podcertificaterequest "k8s.io/kubernetes/pkg/registry/certificates/podcertificaterequest/storage"
	"k8s.io/kubernetes/pkg/registry/coordination/leasecandidate"
	"k8s.io/kubernetes/pkg/registry/core/event"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/node"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/replicationcontroller"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/resource/resourceslice"
	"k8s.io/utils/clock"
	"sigs.k8s.io/randfill"
)

// objectLine is an object in its stored forms, and what Kubernetes finds in it after reading it.
type objectLine struct {
	JSON       string            `json:"json"`
	Protobuf   string            `json:"protobuf,omitempty"`
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Name       string            `json:"name"`
	Namespace  string            `json:"namespace"`
	UID        string            `json:"uid"`
	Labels     map[string]string `json:"labels"`
	Fields     map[string]string `json:"fields"`
	Owners     []string          `json:"owners,omitempty"`
	Finalizers []string          `json:"finalizers,omitempty"`
	Deleting   bool              `json:"deleting,omitempty"`
}

// samples of a kind whose strategy finds more in an object than its name and namespace.
const samplesWithFields = 5

var withFields = map[string]storage.AttrFunc{
	"Pod":                       pod.GetAttrs,
	"Node":                      node.GetAttrs,
	"Namespace":                 namespace.GetAttrs,
	"Secret":                    secret.GetAttrs,
	"Service":                   service.GetAttrs,
	"Event":                     event.GetAttrs,
	"ReplicationController":     replicationcontroller.GetAttrs,
	"ReplicaSet":                replicaset.GetAttrs,
	"Job":                       job.GetAttrs,
	"CertificateSigningRequest": certificates.GetAttrs,
	"ResourceSlice":             resourceslice.GetAttrs,
	"LeaseCandidate":            leasecandidate.GetAttrs,
	"ClusterTrustBundle": captured(func(o generic.RESTOptionsGetter) error {
		_, err := clustertrustbundle.NewREST(o)
		return err
	}),
	"PodCertificateRequest": captured(func(o generic.RESTOptionsGetter) error {
		_, _, err := podcertificaterequest.NewREST(o, nil, clock.RealClock{})
		return err
	}),
}

var errCaptured = errors.New("captured")

// captured is the function that a registry hands to its storage, and keeps to itself otherwise.
func captured(newREST func(generic.RESTOptionsGetter) error) storage.AttrFunc {
	var attrs storage.AttrFunc
	options := generic.RESTOptions{
		StorageConfig:  &storagebackend.ConfigForResource{},
		ResourcePrefix: "x",
		Decorator: func(_ *storagebackend.ConfigForResource, _ string, _ func(runtime.Object) (string, error),
			_, _ func() runtime.Object, f storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers,
		) (storage.Interface, factory.DestroyFunc, error) {
			attrs = f
			return nil, nil, errCaptured
		},
	}
	if err := newREST(options); !errors.Is(err, errCaptured) {
		panic(err)
	}
	return attrs
}

// objects hands out objects of every kind that can be stored, filled at random.
func objects(line func(any)) {
	var kinds []schema.GroupVersionKind
	for kind := range legacyscheme.Scheme.AllKnownTypes() {
		if kind.Version != runtime.APIVersionInternal && !strings.HasSuffix(kind.Kind, "Options") && !strings.HasSuffix(kind.Kind, "List") {
			kinds = append(kinds, kind)
		}
	}
	slices.SortFunc(kinds, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	r := rand.New(rand.NewSource(2))
	for _, kind := range kinds {
		object, err := legacyscheme.Scheme.New(kind)
		if err != nil {
			panic(err)
		}
		if _, err := meta.Accessor(object); err != nil || isSubresource(kind.Kind) {
			continue
		}
		n := samplesWithFields
		if withFields[kind.Kind] == nil && !(hasTemplate(object) && kind.Version == "v1beta1") {
			if kind.GroupVersion() != legacyscheme.Scheme.PrioritizedVersionsForGroup(kind.Group)[0] {
				continue
			}
			n = 1
		}
		if n == 1 {
			line(sample(r, kind, false, false))
			continue
		}
		seen := map[string]bool{}
		for i := range n {
			line(bestSample(r, kind, seen, i%2 == 0))
		}
	}
}

// bestSample is the one of many samples that has the most fields with values that were not seen yet.
// Where there is a template, labelled says that it alone has labels.
func bestSample(r *rand.Rand, kind schema.GroupVersionKind, seen map[string]bool, labelled bool) objectLine {
	var best objectLine
	most := -1
	for range 50 {
		candidate := sample(r, kind, true, labelled)
		news := 0
		for label, value := range candidate.Fields {
			if value != "" && !seen[label+value] {
				news++
			}
		}
		if news > most {
			best, most = candidate, news
		}
	}
	for label, value := range best.Fields {
		seen[label+value] = true
	}
	return best
}

func isSubresource(kind string) bool {
	return slices.Contains([]string{"Binding", "Eviction", "Scale", "TokenRequest", "PodStatusResult", "DeploymentRollback", "NodeProxyOptions"}, kind)
}

func hasTemplate(object runtime.Object) bool {
	spec := reflect.ValueOf(object).Elem().FieldByName("Spec")
	return spec.IsValid() && spec.Kind() == reflect.Struct && spec.FieldByName("Template").IsValid()
}

// labelTemplate leaves labels to the pod template alone: a few kinds take over what it has.
func labelTemplate(r *rand.Rand, object runtime.Object) {
	m, err := meta.Accessor(object)
	if err != nil {
		panic(err)
	}
	m.SetLabels(nil)
	template := reflect.ValueOf(object).Elem().FieldByName("Spec").FieldByName("Template")
	if template.Kind() == reflect.Pointer {
		template.Set(reflect.New(template.Type().Elem()))
		template = template.Elem()
	}
	if inner, ok := template.FieldByName("ObjectMeta").Addr().Interface().(*metav1.ObjectMeta); ok {
		inner.Labels = map[string]string{"t": pick(r, []string{"", "1"}), "job-name": "j"}
	}
}

// sample tries until it has filled an object that Kubernetes can read back and that is not long.
func sample(r *rand.Rand, kind schema.GroupVersionKind, full, labelled bool) objectLine {
	limit := 200
	if full {
		limit = 400
	}
	for try := 0; ; try++ {
		object, err := legacyscheme.Scheme.New(kind)
		if err != nil {
			panic(err)
		}
		filler(r, float64(try)/200).Fill(object)
		if labelled && hasTemplate(object) {
			labelTemplate(r, object)
		}
		answer, size, err := describe(object, kind)
		if err == nil && size <= limit+try*2 {
			return answer
		}
		if try == 1000 {
			panic(fmt.Sprintf("%v: %v, %d bytes", kind, err, size))
		}
	}
}

// filler fills the fields of objects; the higher emptiness is, up to 1, the less.
func filler(r *rand.Rand, emptiness float64) *randfill.Filler {
	empty := min(0.5+emptiness, 0.95)
	return randfill.NewWithSeed(r.Int63()).NilChance(empty).NumElements(0, 1).MaxDepth(8).Funcs(
		func(m *metav1.ObjectMeta, c randfill.Continue) { *m = objectMeta(c) },
		func(m *metav1.TypeMeta, c randfill.Continue) {},
		func(s *string, c randfill.Continue) {
			if c.Float64() > empty {
				*s = word(c)
			}
		},
		func(n *int32, c randfill.Continue) { *n = number(c) },
		func(n *int64, c randfill.Continue) { *n = int64(number(c)) },
		func(b *[]byte, c randfill.Continue) {
			if c.Float64() > empty {
				*b = []byte{0, 0xff, byte(c.Intn(256))}
			}
		},
		func(t *metav1.Time, c randfill.Continue) { *t = someTime(c) },
		func(t *metav1.MicroTime, c randfill.Continue) { *t = metav1.NewMicroTime(someTime(c).Time) },
		func(q *resource.Quantity, c randfill.Continue) { *q = resource.MustParse("100m") },
		func(i *intstr.IntOrString, c randfill.Continue) { *i = intstr.FromInt32(8) },
		func(e *runtime.RawExtension, c randfill.Continue) { e.Raw = []byte(`{"a":"b"}`) },
		func(f *metav1.FieldsV1, c randfill.Continue) { f.Raw = []byte(`{"f:metadata":{"f:name":{}}}`) },
	)
}

func word(c randfill.Continue) string {
	return pick(c.Rand, []string{"a", "b", "True", "10.0.0.1", "node-1", "x y", "ä", "\U0001F600", "\"", "\\", "a=b,c", "<&>", "\u2028", "kube-system", "Running"})
}

func number(c randfill.Continue) int32 {
	return []int32{0, 0, 1, 3, 128, 300, 1<<31 - 1, -1, -1 << 31}[c.Intn(9)]
}

func someTime(c randfill.Continue) metav1.Time {
	return metav1.NewTime(time.Unix(int64(c.Intn(2_000_000_000)), 0).UTC())
}

func someLabels(c randfill.Continue) map[string]string {
	set := map[string]string{}
	for range c.Intn(4) {
		set[pick(c.Rand, []string{"a", "b", "app.kubernetes.io/name", "ä", "", "kubernetes.io/metadata.name"})] = pick(c.Rand, []string{"", "v", "5", "A_b-c.D", "ä", "\U0001F600", "\""})
	}
	return set
}

func objectMeta(c randfill.Continue) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Name:      pick(c.Rand, []string{"", "a", "web-0", "system:node", "ä"}),
		Namespace: pick(c.Rand, []string{"", "default", "kube-system"}),
		UID:       types.UID(pick(c.Rand, []string{"", "u", "0f5a9c1e-7d1b-4d0a-9a63-0b0c7a3b1f11"})),
		Labels:    someLabels(c),
	}
	if c.Intn(3) == 0 {
		m.Annotations = someLabels(c)
	}
	if c.Intn(3) == 0 {
		t := someTime(c)
		m.DeletionTimestamp = &t
		m.Finalizers = []string{"f", "example.com/f"}[c.Intn(2):]
	}
	for range max(0, c.Intn(6)-3) {
		owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: word(c), Name: word(c), UID: types.UID(word(c))}
		if c.Intn(2) == 0 {
			controller, block := c.Intn(2) == 0, c.Intn(2) == 0
			owner.Controller, owner.BlockOwnerDeletion = &controller, &block
		}
		m.OwnerReferences = append(m.OwnerReferences, owner)
	}
	if c.Intn(6) == 0 {
		m.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:labels":{}}`)}}}
	}
	return m
}

// describe writes an object in both forms and says what Kubernetes finds in them when it reads them.
func describe(object runtime.Object, kind schema.GroupVersionKind) (answer objectLine, size int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	object.GetObjectKind().SetGroupVersionKind(kind)
	var asJSON, asProtobuf bytes.Buffer
	scheme := legacyscheme.Scheme
	if err := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{}).Encode(object, &asJSON); err != nil {
		return answer, 0, err
	}
	if err := protobuf.NewSerializer(scheme, scheme).Encode(object, &asProtobuf); err != nil {
		return answer, 0, err
	}
	answer, err = read(asProtobuf.Bytes(), kind)
	if err != nil {
		return answer, 0, err
	}
	fromJSON, err := read(asJSON.Bytes(), kind)
	if err != nil {
		return answer, 0, err
	}
	if !reflect.DeepEqual(answer, fromJSON) {
		panic(fmt.Sprintf("%v\n%v\n%s", answer, fromJSON, asJSON.String()))
	}
	answer.JSON = asJSON.String()
	answer.Protobuf = base64.StdEncoding.EncodeToString(asProtobuf.Bytes())
	return answer, asProtobuf.Len(), nil
}

func read(data []byte, kind schema.GroupVersionKind) (objectLine, error) {
	internal, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(schema.GroupVersion{Group: kind.Group, Version: runtime.APIVersionInternal}), data)
	if err != nil {
		return objectLine{}, err
	}
	attrs := withFields[kind.Kind]
	if attrs == nil {
		attrs = storage.DefaultNamespaceScopedAttr
	}
	labels, fields, err := attrs(internal)
	if err != nil {
		panic(err)
	}
	return line(internal, kind, labels, fields), nil
}

func line(object runtime.Object, kind schema.GroupVersionKind, labels labels.Set, fields fields.Set) objectLine {
	m, err := meta.Accessor(object)
	if err != nil {
		panic(err)
	}
	answer := objectLine{
		APIVersion: kind.GroupVersion().String(), Kind: kind.Kind,
		Name: m.GetName(), Namespace: m.GetNamespace(), UID: string(m.GetUID()),
		Labels: map[string]string{}, Fields: fields,
		Finalizers: m.GetFinalizers(), Deleting: m.GetDeletionTimestamp() != nil,
	}
	for key, value := range labels {
		answer.Labels[key] = value
	}
	for _, owner := range m.GetOwnerReferences() {
		is := func(flag *bool) bool { return flag != nil && *flag }
		answer.Owners = append(answer.Owners, fmt.Sprintf("%s|%s|%s|%s|%t|%t",
			owner.APIVersion, owner.Kind, owner.Name, owner.UID, is(owner.Controller), is(owner.BlockOwnerDeletion)))
	}
	return answer
}
