/**
 * What the server knows of Kubernetes: selectors, the keys of the API server, and what stored
 * objects say that selectors ask for. Pure functions over bytes and text; nothing here reads a
 * database or speaks to a client.
 *
 * <p>What it promises:
 *
 * <ul>
 *   <li>A selector means what it means to Kubernetes ({@link io.harikube.kubernetes.LabelSelector},
 *       {@link io.harikube.kubernetes.FieldSelector}), or is refused.
 *   <li>The labels and fields of an object ({@link io.harikube.kubernetes.ObjectInfo}) are those
 *       that the API server itself would find after it has read the object from its store, with
 *       defaults and conversions applied.
 *   <li>What is not certain is left open: an object that cannot be understood is {@link
 *       io.harikube.kubernetes.Opaque}, and a field whose value is not certain is not among the
 *       fields. Such objects are always delivered; the API server filters once more.
 *   <li>Where an owner is ({@link io.harikube.kubernetes.Kinds}) is said if its kind and version
 *       are served, and nothing otherwise.
 *   <li>Reading never throws, whatever the bytes are.
 * </ul>
 *
 * <p>Facts are those of Kubernetes 1.37. The tests compare with what Kubernetes' own code answers
 * (conformance/selectors), and with what API servers serve (conformance/cmd/kinds).
 */
@NullMarked
package io.harikube.kubernetes;

import org.jspecify.annotations.NullMarked;
