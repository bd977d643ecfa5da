import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from '@mantine/core';

const indigo: MantineColorsTuple = [
  '#eef0fe',
  '#dadefb',
  '#b6bdf6',
  '#93a2ff',
  '#7284f2',
  '#566be8',
  '#475be0',
  '#3b4fd8',
  '#3142b8',
  '#28379b',
];

/** Cool grays, as in tokens.css. */
const dark: MantineColorsTuple = [
  '#e7e9ed',
  '#c3c8d0',
  '#9aa2af',
  '#6d7583',
  '#3b424e',
  '#2d333d',
  '#1d2129',
  '#16191f',
  '#0f1115',
  '#0a0c0f',
];

export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 7, dark: 6 },
  colors: { indigo, dark },
  fontFamily: 'Geist, system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
  headings: { fontWeight: '600', sizes: { h1: { fontSize: '20px', lineHeight: '1.3' }, h2: { fontSize: '14px' } } },
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '18px' },
  lineHeights: { xs: '1.4', sm: '1.5', md: '1.5', lg: '1.5', xl: '1.5' },
  defaultRadius: 'sm',
  radius: { xs: '3px', sm: '6px', md: '8px', lg: '12px', xl: '16px' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'xs' } },
    Textarea: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs', comboboxProps: { shadow: 'md' } } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    ActionIcon: { defaultProps: { variant: 'subtle', color: 'gray' } },
    InputWrapper: { styles: { description: { fontSize: 12 } } },
    Modal: {
      defaultProps: {
        centered: true,
        overlayProps: { backgroundOpacity: 0.45 },
        transitionProps: { duration: 120 },
        styles: { title: { fontSize: 15, fontWeight: 600 } },
      },
    },
    Alert: { defaultProps: { radius: 'sm' } },
  },
});

/** Mantine's own parts take the colours of tokens.css. */
export const cssVariables: CSSVariablesResolver = () => {
  const ours = {
    '--mantine-color-body': 'var(--gh-surface)',
    '--mantine-color-text': 'var(--gh-ink)',
    '--mantine-color-dimmed': 'var(--gh-quiet)',
    '--mantine-color-placeholder': 'var(--gh-quiet)',
    '--mantine-color-default': 'var(--gh-surface)',
    '--mantine-color-default-hover': 'var(--gh-hover)',
    '--mantine-color-default-border': 'var(--gh-line-strong)',
    '--mantine-color-default-color': 'var(--gh-ink)',
    '--mantine-color-anchor': 'var(--gh-accent)',
    '--mantine-color-error': 'var(--gh-red-fg)',
  };
  return { variables: {}, light: ours, dark: ours };
};
