// The table of queue/table.py. Rows are keyed by message id, so that an update keeps the focus.
export default {
  template: `
    <div class="messages">
      <table aria-label="Messages">
        <thead><tr>
          <th v-if="selectable" class="tick"><input type="checkbox" aria-label="Select all messages on this page" :checked="all"
            :indeterminate="some && !all" :disabled="!rows.length" @change="select(ids, $event.target.checked)"></th>
          <th v-for="column in columns" :key="column.name" scope="col" :class="column.classes" :aria-sort="column.order">
            <button v-if="column.sort" type="button" class="sort" @click="$emit('sort', column.sort)">{{ column.label
              }}<span aria-hidden="true">{{ column.arrow }}</span></button>
            <template v-else>{{ column.label }}</template>
          </th>
        </tr></thead>
        <tbody @pointerenter="point(true, $event)" @pointerleave="point(false, $event)">
          <tr v-for="row in rows" :key="row.msg_id" :aria-current="row.msg_id === current ? 'true' : null"
            :class="{ selected: selection.has(row.msg_id), current: row.msg_id === current }"
            @click="$emit('open', row.msg_id)">
            <td v-if="selectable" class="tick" @click.stop><input type="checkbox" :aria-label="'Select message ' + row.msg_id"
              :checked="selection.has(row.msg_id)" @change="select([row.msg_id], $event.target.checked)"></td>
            <td v-for="column in columns" :key="column.name" :class="column.classes">
              <button v-if="column.name === 'msg_id'" type="button" class="link"
                :aria-label="'Open message ' + row.msg_id" @click.stop="$emit('open', row.msg_id)">{{ row.msg_id }}</button>
              <span v-else-if="column.name === 'state'" class="state" :class="row.state">{{ row.words.state }}</span>
              <span v-else-if="column.name === 'preview'" class="mono">{{ row.preview }}</span>
              <time v-else-if="column.time" :datetime="row[column.name]" :title="local(row[column.name])">{{
                row.words[column.name] }}</time>
              <template v-else>{{ row.words[column.name] }}</template>
            </td>
          </tr>
        </tbody>
      </table>
    </div>`,
  props: { columns: Array, rows: Array, selected: Array, selectable: Boolean, current: Number },
  computed: {
    ids() {
      return this.rows.map((row) => row.msg_id);
    },
    selection() {
      return new Set(this.selected);
    },
    all() {
      return this.rows.length > 0 && this.ids.every((id) => this.selection.has(id));
    },
    some() {
      return this.ids.some((id) => this.selection.has(id));
    },
  },
  mounted() {
    addEventListener("keydown", this.key);
  },
  beforeUnmount() {
    removeEventListener("keydown", this.key);
  },
  methods: {
    focus(id) {
      this.$el.querySelector(`[aria-label="Open message ${id}"]`)?.focus({ preventScroll: true });
    },
    // A touch points at nothing afterwards.
    point(on, event) {
      if (event.pointerType !== "touch") this.$emit("point", on);
    },
    // Keys for the open message, unless the user types or a dialog is open.
    key(event) {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable], [role=menu]");
      if (this.current === null || typing || document.querySelector(".q-dialog, .q-menu")) return;
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Escape") this.$emit("close");
      const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
      if (!step || (event.key.startsWith("Arrow") && event.target.closest?.("[role=region]"))) return;
      event.preventDefault();
      this.$emit("step", step);
    },
    select(ids, on) {
      this.$emit("select", { ids, on });
    },
    local(time) {
      const date = new Date(time);
      return isNaN(date) ? time : localTime(date);
    },
  },
};
