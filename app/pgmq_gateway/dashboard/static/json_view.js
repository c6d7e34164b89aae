// Lines of JSON from queue/payload.py: [depth, member's name, text, kind, number of lines to fold, condition, image].
const MAX_CHARACTERS = 400;

export default {
  template: `
    <div class="json-box">
      <div v-if="foldable.length > 1" class="folds">
        <button type="button" class="link" @click="foldAll(true)">Collapse all</button>
        <button type="button" class="link" @click="foldAll(false)">Expand all</button>
      </div>
      <div class="json" role="region" tabindex="0" :aria-label="label">
        <div v-for="[line, index] in shown" :key="index" class="line" :style="{ paddingLeft: line[0] * 14 + 18 + 'px' }">
          <button v-if="line[3] === 'open'" type="button" class="fold" :aria-expanded="!folded[index]"
            :aria-label="(folded[index] ? 'Expand ' : 'Collapse ') + (line[1] || label)" @click="toggle(index)"
            :style="{ left: line[0] * 14 + 'px' }">{{ folded[index] ? "▸" : "▾" }}</button>
          <span class="name">{{ line[1] }}</span>
          <button v-if="filters && line[5]" type="button" class="value" :class="line[3]"
            :title="'Show messages with ' + line[5]" @click="filter(line[5])">{{ text(line, index) }}</button>
          <span v-else :class="line[3]">{{ text(line, index) }}</span>
          <button v-if="line[2].length > max" type="button" class="link" @click="long[index] = !long[index]">{{
            long[index] ? "Show less" : "Show all " + characters(line) + " characters" }}</button>
          <img v-if="line[6]" :src="source(line)" :alt="'Image in ' + (line[1] || label)">
          <span v-if="folded[index]" class="close">… {{ lines[index + line[4]][2] }}</span>
        </div>
      </div>
    </div>`,
  props: { lines: Array, label: String, filters: Boolean },
  data: () => ({ folded: {}, long: {}, max: MAX_CHARACTERS }),
  computed: {
    shown() {
      const kept = [];
      for (let index = 0; index < this.lines.length; index++) {
        kept.push([this.lines[index], index]);
        if (this.folded[index]) index += this.lines[index][4];
      }
      return kept;
    },
    foldable() {
      return this.lines.flatMap((line, index) => (line[3] === "open" ? [index] : []));
    },
  },
  methods: {
    toggle(index) {
      this.folded[index] = !this.folded[index];
    },
    // The outermost object or array stays open.
    foldAll(on) {
      this.folded = on ? Object.fromEntries(this.foldable.slice(1).map((index) => [index, true])) : {};
    },
    // A click that ends a selection of text, to copy it, does not filter.
    filter(condition) {
      if (getSelection().isCollapsed) this.$emit("filter", condition);
    },
    text(line, index) {
      return line[2].length > MAX_CHARACTERS && !this.long[index] ? line[2].slice(0, MAX_CHARACTERS) + "…" : line[2];
    },
    // Without the quotes and a comma behind them.
    characters(line) {
      return (line[3] === "string" ? line[2].lastIndexOf('"') - 1 : line[2].length).toLocaleString("en");
    },
    // Of a string in quotes, perhaps with a comma behind it, and with the prefix of a data URI.
    source(line) {
      const encoded = line[2].slice(1, line[2].lastIndexOf('"')).replace(/^data:[^,]*,/, "");
      return `data:${line[6]};base64,${encoded}`;
    },
  },
};
