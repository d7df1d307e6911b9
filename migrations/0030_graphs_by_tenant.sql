-- Sixteen graphs instead of one, each of the tenants whose id ends in the same hexadecimal digit (the low half of its last
-- byte, which is random).
--
-- A search by graph throws away what other tenants have and walks on. In one graph of all, a tenant with two fifths of the
-- passages walked past three for each two it kept; in one of sixteen graphs a large tenant is nearly alone. The graphs are partial indexes
-- of one table: a search names its tenant's digit, as `passage_index.rs` does, and the planner takes the one that fits.
--
-- Numbers of 16 bits (`halfvec`) are enough to find the way, and halve the graph; the distances that count are computed from
-- the vectors themselves. Vectors have length one, so the inner product orders them as the cosine does and costs less.
DROP INDEX docket.chunks_by_meaning;

DO $$
BEGIN
    FOR digit IN 0..15 LOOP
        EXECUTE format(
            'CREATE INDEX chunks_by_meaning_%s ON docket.chunks '
            'USING hnsw ((embedding::public.halfvec(384)) public.halfvec_ip_ops) WITH (m = 16, ef_construction = 200) '
            'WHERE get_byte(uuid_send(tenant_id), 15) & 15 = %s',
            digit, digit);
    END LOOP;
END
$$;
