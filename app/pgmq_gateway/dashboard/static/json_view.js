// Lines of JSON from queue/payload.py: [depth, member's name, text, kind, number of lines to fold].
export default {
  template: `
    <div class="json" role="region" tabindex="0" :aria-label="label">
      <div v-for="[line, index] in shown" :key="index" class="line" :style="{ paddingLeft: line[0] * 14 + 18 + 'px' }">
        <button v-if="line[3] === 'open'" type="button" class="fold" :aria-expanded="!folded[index]"
          :aria-label="(folded[index] ? 'Unfold ' : 'Fold ') + (line[1] || label)" @click="toggle(index)"
          :style="{ left: line[0] * 14 + 'px' }">{{ folded[index] ? "▸" : "▾" }}</button>
        <span class="name">{{ line[1] }}</span><span :class="line[3]">{{ line[2] }}</span>
        <span v-if="folded[index]" class="close">… {{ lines[index + line[4]][2] }}</span>
      </div>
    </div>`,
  props: { lines: Array, label: String },
  data: () => ({ folded: {} }),
  computed: {
    shown() {
      const kept = [];
      for (let index = 0; index < this.lines.length; index++) {
        kept.push([this.lines[index], index]);
        if (this.folded[index]) index += this.lines[index][4];
      }
      return kept;
    },
  },
  methods: {
    toggle(index) {
      this.folded[index] = !this.folded[index];
    },
  },
};
