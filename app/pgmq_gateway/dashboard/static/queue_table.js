// The table of queues/table.py. Its slots are compiled once. Those of NiceGUI's table are new at each update, which
// replaces all cells: it takes the focus from them, and loses a click that the update divides.
function compare(one, other) {
  if (one === other) return 0;
  // Without a value last in ascending order, like Postgres.
  if (one == null || other == null) return one == null ? 1 : -1;
  return typeof one === "string" ? one.localeCompare(other) : one - other;
}

export default {
  template: `
    <q-table class="queues" flat dense binary-state-sort row-key="queue_name" :columns="columns" :rows="rows"
        :filter="filter" v-model:pagination="pagination" :hide-bottom="rows.length <= pagination.rowsPerPage"
        :sort-method="sorted" @row-click="open"
        @mouseover="held = Boolean($event.target.closest('tbody'))" @mouseleave="held = false">
      <template #header-cell="props">
        <q-th :props="props" :aria-sort="order(props.col)">
          <button v-if="props.col.sortable" type="button" class="sort">{{ props.col.label }}</button>
          <span v-else>{{ props.col.label }}</span>
        </q-th>
      </template>
      <template #body-cell="props">
        <q-td :props="props">
          <template v-if="props.col.name === 'queue_name'">
            <a :href="'/queues/' + encodeURIComponent(props.value)">{{ props.value }}</a>
            <span v-if="props.row.paused" class="mark badge warn">paused</span>
            <span v-if="props.row.is_full" class="mark badge bad">full</span>
            <span class="narrow badge">{{ props.row.queue_type }}</span>
            <span v-if="!props.row.rls" class="narrow badge warn">no RLS</span>
          </template>
          <span v-else-if="props.col.name === 'queue_type'" class="badge">{{ props.value }}</span>
          <span v-else-if="props.col.name === 'rls'" :class="props.value ? 'badge good' : 'badge warn'">{{
            props.value ? "on" : "off" }}</span>
          <span v-else-if="props.col.name === 'activity' && !props.row.lines" class="muted">no traffic yet</span>
          <svg v-else-if="props.col.name === 'activity'" class="spark" :viewBox="'0 0 ' + spark.width + ' ' + spark.height"
              :width="spark.width" :height="spark.height" role="img"
              :aria-label="'In ' + props.row.words.in_rate + ', out ' + props.row.words.out_rate + ' per second'">
            <polyline class="in" :points="props.row.lines.in" /><polyline class="out" :points="props.row.lines.out" />
          </svg>
          <template v-else>{{ props.row.words[props.col.name] }}</template>
        </q-td>
      </template>
    </q-table>`,
  props: { columns: Array, rows: Array, filter: String, rowsPerPage: Number, spark: Object, sort: String },
  data() {
    const wanted = this.sort.replace("-", "");
    const known = this.columns.some((column) => column.sortable && column.name === wanted);
    const descending = known && this.sort.startsWith("-");
    return {
      pagination: { rowsPerPage: this.rowsPerPage, sortBy: known ? wanted : "queue_name", descending },
      // The pointer is over the rows.
      held: false,
    };
  },
  created() {
    // The order that is shown, and the column and direction that it is by.
    this.shown = { by: "", places: new Map() };
  },
  watch: {
    filter() { this.keep(); },
    pagination() { this.keep(); },
  },
  methods: {
    // Order rows. Under the pointer they keep their places, and new ones are added below.
    sorted(rows, column, descending) {
      const by = `${descending ? "-" : ""}${column}`;
      const ordered = [...rows].sort((one, other) => (descending ? -1 : 1) * compare(one[column], other[column]));
      if (this.held && this.shown.by === by) {
        const place = (row) => this.shown.places.get(row.queue_name) ?? Infinity;
        ordered.sort((one, other) => (place(one) === place(other) ? 0 : place(one) - place(other)));
      }
      this.shown = { by, places: new Map(ordered.map((row, index) => [row.queue_name, index])) };
      return ordered;
    },
    open(event, row) {
      if (event.target.closest("a") || getSelection().toString()) return;
      const address = "/queues/" + encodeURIComponent(row.queue_name);
      if (event.ctrlKey || event.metaKey) window.open(address);
      else location.href = address;
    },
    // Put search and order into the address, so that a reload and a link have them.
    keep() {
      const { sortBy, descending } = this.pagination;
      const query = new URLSearchParams(location.search);
      const set = (name, value) => (value ? query.set(name, value) : query.delete(name));
      const first = sortBy === "queue_name" && !descending;
      set("search", this.filter);
      set("sort", first || !sortBy ? "" : `${descending ? "-" : ""}${sortBy}`);
      history.replaceState(history.state, "", query.size ? `?${query}` : location.pathname);
    },
    order(column) {
      if (column.name !== this.pagination.sortBy) return null;
      return this.pagination.descending ? "descending" : "ascending";
    },
  },
};
