/**
 * TLS from PEM files: private keys in every encoding that OpenSSL and Kubernetes' tools write,
 * certificates that are read again when their files change, and the contexts made of them. Depends
 * on nothing else of the server.
 */
@NullMarked
package io.harikube.tls;

import org.jspecify.annotations.NullMarked;
