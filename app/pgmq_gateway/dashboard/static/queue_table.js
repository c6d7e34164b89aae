// The table of queues/table.py. Its slots are compiled once. Those of NiceGUI's table are new at each update, which
// replaces all cells: it takes the focus from them, and loses a click that the update divides.
export default {
  template: `
    <q-table class="queues" flat dense binary-state-sort row-key="queue_name" :columns="columns" :rows="rows"
        :filter="filter" v-model:pagination="pagination" :hide-bottom="rows.length <= pagination.rowsPerPage">
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
          <svg v-else-if="props.col.name === 'activity'" class="spark" :viewBox="'0 0 ' + spark.width + ' ' + spark.height"
              :width="spark.width" :height="spark.height" role="img"
              :aria-label="'In ' + props.row.words.in_rate + ', out ' + props.row.words.out_rate + ' per second'">
            <polyline class="in" :points="props.row.lines.in" /><polyline class="out" :points="props.row.lines.out" />
          </svg>
          <template v-else>{{ props.row.words[props.col.name] }}</template>
        </q-td>
      </template>
    </q-table>`,
  props: { columns: Array, rows: Array, filter: String, rowsPerPage: Number, spark: Object },
  data() {
    return { pagination: { rowsPerPage: this.rowsPerPage, sortBy: "queue_name", descending: false } };
  },
  methods: {
    order(column) {
      if (column.name !== this.pagination.sortBy) return null;
      return this.pagination.descending ? "descending" : "ascending";
    },
  },
};
