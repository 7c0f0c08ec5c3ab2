/**
 * Garbage collection of the objects that kube-controller-manager does not see, with the end states
 * that Kubernetes' own collector has.
 *
 * <p>The store's writer asks {@link io.harikube.gc.Rules} of each change which tasks it makes
 * necessary, and keeps them in the transaction of the change. {@link io.harikube.gc.Collector} does
 * them, over the store's interfaces: it reads an object and its owners, has {@link
 * io.harikube.gc.Judgement} say what Kubernetes would do, and writes that if nothing of what it has
 * read has changed meanwhile.
 */
@NullMarked
package io.harikube.gc;

import org.jspecify.annotations.NullMarked;
