package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand"
	"slices"
	"time"

	"k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// admissionLine is a configuration of admission webhooks or a policy in its stored forms, and of which
// resources it looks at the deletion of an object, in some version: each as its scope and its path.
type admissionLine struct {
	Path     string   `json:"path"`
	JSON     string   `json:"json"`
	Protobuf string   `json:"protobuf"`
	Seen     []string `json:"seen"`
	Unseen   []string `json:"unseen"`
}

// deleted are resources whose objects are deleted.
var deleted = []struct {
	path       string
	resource   schema.GroupResource
	namespaced bool
}{
	{"pods", schema.GroupResource{Resource: "pods"}, true},
	{"configmaps", schema.GroupResource{Resource: "configmaps"}, true},
	{"minions", schema.GroupResource{Resource: "nodes"}, false},
	{"services/specs", schema.GroupResource{Resource: "services"}, true},
	{"deployments", schema.GroupResource{Group: "apps", Resource: "deployments"}, true},
	{"ingress", schema.GroupResource{Group: "networking.k8s.io", Resource: "ingresses"}, true},
	{"example.com/widgets", schema.GroupResource{Group: "example.com", Resource: "widgets"}, true},
	{"example.com/regions", schema.GroupResource{Group: "example.com", Resource: "regions"}, false},
	{"other.com/widgets", schema.GroupResource{Group: "other.com", Resource: "widgets"}, true},
	{"apiextensions.k8s.io/customresourcedefinitions", schema.GroupResource{Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}, false},
}

var apiVersions = []string{"v1", "v1beta1", "v2"}

// configurations hands out configurations of each kind in each version that can be stored, at random.
func configurations(line func(any)) {
	r := rand.New(rand.NewSource(4))
	for range 12 {
		for _, version := range apiVersions[:2] {
			line(mutatingWebhooks(r, version))
			line(validatingWebhooks(r, version))
		}
		for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
			line(mutatingPolicy(r, version))
			line(validatingPolicy(r, version))
		}
	}
}

func mutatingWebhooks(r *rand.Rand, version string) admissionLine {
	configuration := &v1.MutatingWebhookConfiguration{ObjectMeta: admissionMeta(r)}
	var all []v1.RuleWithOperations
	for range r.Intn(3) {
		webhook := v1.MutatingWebhook{
			Name: "a.example.com", ClientConfig: clientConfig(r), Rules: someRules(r),
			NamespaceSelector: someSelector(r), ObjectSelector: someSelector(r), MatchConditions: someConditions(r),
			AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr(v1.SideEffectClassNone),
		}
		all = append(all, webhook.Rules...)
		configuration.Webhooks = append(configuration.Webhooks, webhook)
	}
	return describeConfiguration(r, "mutatingwebhookconfigurations", version, configuration, webhookSees(all))
}

func validatingWebhooks(r *rand.Rand, version string) admissionLine {
	configuration := &v1.ValidatingWebhookConfiguration{ObjectMeta: admissionMeta(r)}
	var all []v1.RuleWithOperations
	for range r.Intn(3) {
		webhook := v1.ValidatingWebhook{
			Name: "a.example.com", ClientConfig: clientConfig(r), Rules: someRules(r),
			NamespaceSelector: someSelector(r), ObjectSelector: someSelector(r), MatchConditions: someConditions(r),
			AdmissionReviewVersions: []string{"v1"}, SideEffects: ptr(v1.SideEffectClassNone),
		}
		all = append(all, webhook.Rules...)
		configuration.Webhooks = append(configuration.Webhooks, webhook)
	}
	return describeConfiguration(r, "validatingwebhookconfigurations", version, configuration, webhookSees(all))
}

func mutatingPolicy(r *rand.Rand, version string) admissionLine {
	match := matchResources(r)
	policy := &v1.MutatingAdmissionPolicy{ObjectMeta: admissionMeta(r), Spec: v1.MutatingAdmissionPolicySpec{
		MatchConstraints: match, MatchConditions: someConditions(r), ReinvocationPolicy: v1.NeverReinvocationPolicy,
		Variables: []v1.Variable{{Name: "a", Expression: "1"}},
		Mutations: []v1.Mutation{{PatchType: v1.PatchTypeJSONPatch, JSONPatch: &v1.JSONPatch{Expression: "[]"}}},
	}}
	return describeConfiguration(r, "mutatingadmissionpolicies", version, policy, policySees(*match))
}

func validatingPolicy(r *rand.Rand, version string) admissionLine {
	match := matchResources(r)
	policy := &v1.ValidatingAdmissionPolicy{ObjectMeta: admissionMeta(r), Spec: v1.ValidatingAdmissionPolicySpec{
		MatchConstraints: match, MatchConditions: someConditions(r),
		Validations: []v1.Validation{{Expression: "true", Message: "m"}},
		Variables:   []v1.Variable{{Name: "a", Expression: "1"}},
	}}
	if r.Intn(2) == 0 {
		policy.Spec.ParamKind = &v1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"}
		policy.Status = v1.ValidatingAdmissionPolicyStatus{ObservedGeneration: 1, TypeChecking: &v1.TypeChecking{
			ExpressionWarnings: []v1.ExpressionWarning{{FieldRef: "spec.validations[0].expression", Warning: "w"}}}}
	}
	return describeConfiguration(r, "validatingadmissionpolicies", version, policy, policySees(*match))
}

// webhookSees is what Kubernetes' webhooks do with rules, whatever their selectors are.
func webhookSees(all []v1.RuleWithOperations) func(admission.Attributes) bool {
	return func(attributes admission.Attributes) bool {
		return slices.ContainsFunc(all, func(rule v1.RuleWithOperations) bool {
			matcher := rules.Matcher{Rule: rule, Attr: attributes}
			return matcher.Matches()
		})
	}
}

// criteria are those of a policy, without all that narrows its rules.
type criteria struct{ resources v1.MatchResources }

func (c criteria) GetMatchResources() v1.MatchResources {
	return v1.MatchResources{ResourceRules: c.resources.ResourceRules}
}
func (criteria) GetParsedNamespaceSelector() (labels.Selector, error) {
	return labels.Everything(), nil
}
func (criteria) GetParsedObjectSelector() (labels.Selector, error) { return labels.Everything(), nil }

// policySees is what Kubernetes' policies do with rules, whatever their selectors are.
func policySees(match v1.MatchResources) func(admission.Attributes) bool {
	return func(attributes admission.Attributes) bool {
		sees, _, _, err := matching.NewMatcher(nil, nil).Matches(attributes, nil, criteria{match})
		if err != nil {
			panic(err)
		}
		return sees
	}
}

func describeConfiguration(r *rand.Rand, path, version string, configuration runtime.Object, sees func(admission.Attributes) bool) admissionLine {
	scheme := legacyscheme.Scheme
	if r.Intn(2) == 0 {
		scheme.Default(configuration)
	}
	internal, err := scheme.ConvertToVersion(configuration, schema.GroupVersion{Group: v1.GroupName, Version: runtime.APIVersionInternal})
	if err != nil {
		panic(err)
	}
	text := func(serializer runtime.Encoder) []byte {
		var out bytes.Buffer
		codec := legacyscheme.Codecs.EncoderForVersion(serializer, schema.GroupVersion{Group: v1.GroupName, Version: version})
		if err := codec.Encode(internal, &out); err != nil {
			panic(err)
		}
		return out.Bytes()
	}
	answer := admissionLine{
		Path:     path,
		JSON:     string(text(json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{}))),
		Protobuf: base64.StdEncoding.EncodeToString(text(protobuf.NewSerializer(scheme, scheme))),
		Seen:     []string{},
		Unseen:   []string{},
	}
	for _, of := range deleted {
		scope, namespace := "Cluster", ""
		if of.namespaced {
			scope, namespace = "Namespaced", "default"
		}
		question := fmt.Sprintf("%s %s", scope, of.path)
		if slices.ContainsFunc(apiVersions, func(version string) bool {
			return sees(admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, namespace, "a",
				of.resource.WithVersion(version), "", admission.Delete, nil, false, nil))
		}) {
			answer.Seen = append(answer.Seen, question)
		} else {
			answer.Unseen = append(answer.Unseen, question)
		}
	}
	return answer
}

func matchResources(r *rand.Rand) *v1.MatchResources {
	match := &v1.MatchResources{NamespaceSelector: someSelector(r), ObjectSelector: someSelector(r)}
	for _, rule := range someRules(r) {
		// The object has the first of these names.
		names := [][]string{nil, nil, {"a", "b"}}[r.Intn(3)]
		match.ResourceRules = append(match.ResourceRules, v1.NamedRuleWithOperations{ResourceNames: names, RuleWithOperations: rule})
	}
	if r.Intn(4) == 0 {
		for _, rule := range someRules(r) {
			match.ExcludeResourceRules = append(match.ExcludeResourceRules, v1.NamedRuleWithOperations{RuleWithOperations: rule})
		}
	}
	return match
}

func someRules(r *rand.Rand) []v1.RuleWithOperations {
	var some []v1.RuleWithOperations
	for range []int{0, 1, 1, 1, 2, 3}[r.Intn(6)] {
		rule := v1.RuleWithOperations{
			Operations: [][]v1.OperationType{
				{v1.OperationAll}, {v1.Delete}, {v1.Delete}, {v1.Create, v1.Delete}, {v1.Update}, {v1.Create, v1.Update}, {v1.Connect},
			}[r.Intn(7)],
			Rule: v1.Rule{
				APIGroups:   [][]string{{"*"}, {"*"}, {""}, {"", "apps"}, {"example.com"}, {"other.com", "example.com"}, {"networking.k8s.io"}}[r.Intn(7)],
				APIVersions: [][]string{{"*"}, {"v1"}, {"v1beta1", "v2"}}[r.Intn(3)],
				Resources: [][]string{
					{"*"}, {"*/*"}, {"*/scale"}, {"pods", "configmaps"}, {"pods/status"}, {"widgets"}, {"widgets/*"},
					{"widgets/status", "regions"}, {"deployments/scale"}, {"nodes", "services", "ingresses"}, {"*/status", "deployments/*"},
				}[r.Intn(11)],
			},
		}
		if r.Intn(2) == 0 {
			rule.Scope = ptr([]v1.ScopeType{v1.AllScopes, v1.NamespacedScope, v1.ClusterScope}[r.Intn(3)])
		}
		some = append(some, rule)
	}
	return some
}

func clientConfig(r *rand.Rand) v1.WebhookClientConfig {
	config := v1.WebhookClientConfig{CABundle: []byte{0, 1, 0x1a, 0xff}}
	if r.Intn(2) == 0 {
		config.URL = ptr("https://localhost/")
	} else {
		config.Service = &v1.ServiceReference{Namespace: "default", Name: "a", Path: ptr("/p"), Port: ptr(int32(443))}
	}
	return config
}

func someSelector(r *rand.Rand) *metav1.LabelSelector {
	return []*metav1.LabelSelector{nil, {}, {MatchLabels: map[string]string{"a": "b"}}}[r.Intn(3)]
}

func someConditions(r *rand.Rand) []v1.MatchCondition {
	return [][]v1.MatchCondition{nil, {{Name: "c", Expression: "false"}}}[r.Intn(2)]
}

func admissionMeta(r *rand.Rand) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Name: "a", UID: "u", Generation: 1, CreationTimestamp: metav1.NewTime(time.Unix(1_700_000_000, 0))}
	if r.Intn(2) == 0 {
		m.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: "m", Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1",
			FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:webhooks":{"k:{\"name\":\"a\"}":{}}}`)},
		}}
	}
	return m
}

func ptr[T any](value T) *T { return &value }
