import { type Environment, type MockTool, NOW, nextId, ToolError, text, timeText } from './environment.ts';

interface File {
  id_: string;
  filename: string;
  content: string;
  owner: string;
  last_modified: string;
  shared_with: Record<string, string>;
  size: number;
}

interface Drive {
  account_email: string;
  files: Record<string, File>;
}

const drive = (environment: Environment) => environment.cloud_drive as Drive;
const all = (environment: Environment) => Object.values(drive(environment).files);
const view = (file: File) => ({ ...file, last_modified: timeText(file.last_modified) });

/** A drive that is shared with others, and a plain directory. */
export const files: Record<string, MockTool> = {
  list_files: (environment) => all(environment).map(view),
  search_files: (environment, { query }) => containing(environment, 'content', query),
  search_files_by_filename: (environment, { filename }) => containing(environment, 'filename', filename),
  get_file_by_id: (environment, { file_id }) => view(find(environment, file_id)),
  create_file(environment, { filename, content }) {
    const { files: existing, account_email } = drive(environment);
    const file: File = {
      id_: nextId(Object.keys(existing)),
      filename: text(filename),
      content: text(content),
      owner: account_email,
      last_modified: NOW,
      shared_with: {},
      size: text(content).length,
    };
    existing[file.id_] = file;
    return file;
  },
  append_to_file(environment, { file_id, content }) {
    const file = find(environment, file_id);
    file.content += text(content);
    file.size = file.content.length;
    file.last_modified = NOW;
    return view(file);
  },
  delete_file(environment, { file_id }) {
    const file = find(environment, file_id);
    delete drive(environment).files[file.id_];
    return view(file);
  },
  share_file(environment, { file_id, email, permission }) {
    const file = find(environment, file_id);
    file.shared_with[text(email)] = text(permission);
    return view(file);
  },
  read_file(environment, { file_path }) {
    return (environment.filesystem as { files: Record<string, string> }).files[text(file_path)] ?? '';
  },
};

function find(environment: Environment, id: unknown): File {
  const file = drive(environment).files[text(id)];
  if (!file) throw new ToolError(`File with ID '${text(id)}' not found.`);
  return file;
}

function containing(environment: Environment, where: 'content' | 'filename', query: unknown): File[] {
  const wanted = text(query).toLowerCase();
  const found = all(environment).filter((file) => file[where].toLowerCase().includes(wanted));
  if (found.length === 0) throw new ToolError('No files found. Try with a different query.');
  return found.map(view);
}
