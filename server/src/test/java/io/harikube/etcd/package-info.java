@NullMarked
package io.harikube.etcd;

import org.jspecify.annotations.NullMarked;
